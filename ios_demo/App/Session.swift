import Foundation
import Observation
import PocketApple
import PocketCore

/// What the screens share: which model, how far it is, and the model itself once it is ready.
@MainActor @Observable
final class Session {
    let store: ModelStore
    private(set) var phase = ModelPhase.missing
    private(set) var ready: ModelStore.Ready?
    /// Of the app before any model was loaded, for reports.
    let baselineMemoryMb = DeviceState.memoryMb?.now

    private(set) var modelName: String
    private(set) var units = ComputeUnits.all

    init(store: ModelStore) {
        self.store = store
        modelName = store.names.first ?? ""
    }

    func choose(model: String? = nil, units: ComputeUnits? = nil) async {
        modelName = model ?? modelName
        self.units = units ?? self.units
        await openModel()
    }

    func openModel() async {
        ready = nil
        let (wanted, wantedUnits) = (modelName, units)
        let opened = await store.open(wanted, units: wantedUnits) { phase in
            await self.heard(phase, of: wanted, wantedUnits)
        }
        if wanted == modelName, wantedUnits == units { ready = opened }
    }

    /// Of a choice that was taken back nobody wants to hear.
    private func heard(_ next: ModelPhase, of model: String, _ units: ComputeUnits) {
        if model == modelName, units == self.units { phase = next }
    }
}
