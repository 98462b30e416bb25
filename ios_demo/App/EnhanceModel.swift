import CoreGraphics
import Foundation
import Observation
import PocketApple
import PocketCore
import UIKit

/// One photo on its way: picked, previewed small, enhanced at full resolution, saved or shared.
@MainActor @Observable
final class EnhanceModel {
    enum Stage: Equatable {
        case empty
        case previewing
        case enhancing(share: Double)
        case done
        case failed(String)
    }

    private(set) var stage = Stage.empty
    private(set) var before: CGImage?
    private(set) var after: CGImage?
    private(set) var notes: [String] = []
    /// The finished file, for sharing.
    private(set) var file: URL?
    private(set) var message: String?
    var strength = 1.0
    var removesPlace = true

    private var original: URL?
    private var work: Task<Void, Never>?
    private var background = UIBackgroundTaskIdentifier.invalid

    var isBusy: Bool {
        switch stage {
        case .previewing, .enhancing: true
        default: false
        }
    }

    /// Copies what the picker or the camera gave, then shows a small enhanced version at once.
    func take(_ content: Data, _ ready: ModelStore.Ready) {
        cancel()
        let copy = URL.temporaryDirectory.appending(path: "original-\(UUID().uuidString)")
        do {
            try content.write(to: copy)
        } catch {
            stage = .failed(PhotoFailure.noSpace.sentence)
            return
        }
        if let original { try? FileManager.default.removeItem(at: original) }
        (original, after, file, message, notes) = (copy, nil, nil, nil, [])
        before = Preview.image(of: copy)
        guard before != nil else {
            stage = .failed(PhotoFailure.notAPhoto.sentence)
            return
        }
        stage = .previewing
        start { model in
            let small = try await Preview.enhanced(copy, ready, strength: model.wantedStrength)
            model.after = small
            model.stage = .empty
        }
    }

    func enhance(_ ready: ModelStore.Ready) {
        guard let original, !isBusy else { return }
        stage = .enhancing(share: 0)
        background = UIApplication.shared.beginBackgroundTask { [weak self] in self?.cancel() }
        start { model in
            let strength = model.wantedStrength
            let removesPlace = model.removesPlace
            let result = try await PhotoJob(ready).run(original, strength: strength) { share in
                await model.heard(share)
            }
            let place = URL.temporaryDirectory.appending(path: "Pocket DSLR \(UUID().uuidString.prefix(8)).jpg")
            try await Task.detached {
                try result.enhanced.write(to: place, from: result.decoded, removingPlace: removesPlace)
            }.value
            model.after = Preview.image(of: place)
            (model.file, model.notes, model.stage) = (place, result.decoded.notes, .done)
        }
    }

    func cancel() {
        work?.cancel()
        work = nil
        if isBusy { stage = .empty }
        endBackground()
    }

    func save() async {
        guard let file else { return }
        do {
            try await PhotoSaver.add(file)
            message = "Saved to Photos."
        } catch {
            message = (error as? PhotoFailure)?.sentence ?? error.localizedDescription
        }
    }

    private var wantedStrength: Strength { Strength(Float(strength)) ?? .full }

    private func heard(_ share: Double) {
        if case .enhancing = stage { stage = .enhancing(share: share) }
    }

    private func endBackground() {
        if background != .invalid { UIApplication.shared.endBackgroundTask(background) }
        background = .invalid
    }

    private func start(_ body: @escaping @MainActor (EnhanceModel) async throws -> Void) {
        work = Task { [weak self] in
            guard let self else { return }
            do {
                try await body(self)
            } catch is CancellationError {
                // `cancel` has put the stage back
            } catch let failure as PhotoFailure {
                stage = .failed(failure.sentence)
            } catch {
                stage = .failed("The model stopped: \(error.localizedDescription) Try again.")
            }
            endBackground()
        }
    }
}
