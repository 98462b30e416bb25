import PhotosUI
import PocketApple
import PocketCore
import SwiftUI
import UIKit

/// Measures the chosen model and exports the report that benchmarks/on_ios.py takes in.
struct BenchmarkScreen: View {
    @Environment(Session.self) private var session
    @State private var sustains = false
    @State private var picked: PhotosPickerItem?
    @State private var share: Double?
    @State private var report: URL?
    @State private var message: String?
    @State private var work: Task<Void, Never>?

    var body: some View {
        NavigationStack {
            Form {
                Section {
                    Toggle("Ten minutes without a pause", isOn: $sustains)
                    PhotosPicker("A whole photo as well", selection: $picked, matching: .images)
                    if let share {
                        ProgressView("Measuring", value: share)
                        Button("Cancel", role: .cancel) { work?.cancel() }
                    } else {
                        Button("Measure") { measure() }.disabled(session.ready == nil)
                    }
                } footer: {
                    Text("Leave the app open, the screen on, and the device off its charger.")
                }
                if let message { Text(message) }
                if let report { ShareLink("Export the report", item: report) }
            }
            .navigationTitle("Benchmark")
        }
    }

    private func measure() {
        guard let ready = session.ready else { return }
        let baseline = session.baselineMemoryMb
        let (item, sustainedS) = (picked, sustains ? 600.0 : 0)
        (share, report, message) = (0, nil, nil)
        UIApplication.shared.isIdleTimerDisabled = true
        work = Task {
            do {
                let photo = try await file(of: item)
                let made = try await DeviceBenchmark(ready, baselineMemoryMb: baseline).run(
                    sustainedS: sustainedS, photo: photo
                ) { done in await MainActor.run { share = done } }
                let place = URL.temporaryDirectory.appending(
                    path: "\(made.artifact.manifest.name)__\(made.target.name.replacing(",", with: "-")).json")
                try Data(made.text.utf8).write(to: place, options: .atomic)
                (report, message) = (place, "Runs on: \(made.target.computeUnitActual)")
            } catch is CancellationError {
                message = "Stopped; no report was made."
            } catch {
                message = (error as? PhotoFailure)?.sentence ?? error.localizedDescription
            }
            share = nil
            UIApplication.shared.isIdleTimerDisabled = false
        }
    }

    private func file(of item: PhotosPickerItem?) async throws -> URL? {
        guard let content = try await item?.loadTransferable(type: Data.self) else { return nil }
        let place = URL.temporaryDirectory.appending(path: "benchmark-photo")
        try content.write(to: place)
        return place
    }
}
