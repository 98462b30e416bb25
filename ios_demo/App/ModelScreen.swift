import PocketApple
import PocketCore
import SwiftUI

/// Which model, on which compute units; its card and licence.
struct ModelScreen: View {
    @Environment(Session.self) private var session

    var body: some View {
        NavigationStack {
            List {
                Section("Model") {
                    Picker("Model", selection: modelName) {
                        ForEach(session.store.names, id: \.self) { Text($0) }
                    }
                    Picker("Runs on", selection: units) {
                        ForEach(ComputeUnits.allCases) { Text($0.rawValue).tag($0) }
                    }
                    PhaseView(phase: session.phase)
                }
                if let ready = session.ready {
                    Section("Facts") {
                        LabeledContent("Precision", value: ready.artifact.manifest.precision.rawValue)
                        LabeledContent("Planned for", value: ready.engine.plannedUnits)
                        LabeledContent("Licence", value: ready.artifact.manifest.licence)
                    }
                }
                if let card = session.store.card(of: session.modelName) {
                    Section("Card") { Text(card).font(.caption.monospaced()).textSelection(.enabled) }
                }
            }
            .navigationTitle("Model")
        }
    }

    private var modelName: Binding<String> {
        Binding {
            session.modelName
        } set: { name in
            Task { await session.choose(model: name) }
        }
    }

    private var units: Binding<ComputeUnits> {
        Binding {
            session.units
        } set: { units in
            Task { await session.choose(units: units) }
        }
    }
}

/// A model's phase in one line.
struct PhaseView: View {
    let phase: ModelPhase

    var body: some View {
        switch phase {
        case .missing: Label("No model in this app", systemImage: "questionmark.circle")
        case .verifying: ProgressView("Checking the model's files")
        case .compiling: ProgressView("Preparing the model for this device")
        case .ready(let goldenPsnrDb):
            Label(
                "Ready: self-test \(goldenPsnrDb.formatted(.number.precision(.fractionLength(1)))) dB",
                systemImage: "checkmark.seal")
        case .failed(let failure):
            Label(failure.sentence, systemImage: "exclamationmark.triangle").foregroundStyle(.red)
        }
    }
}
