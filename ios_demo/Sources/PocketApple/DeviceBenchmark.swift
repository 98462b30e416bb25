#if canImport(CoreML)
import Foundation
import PocketCore

/// Measures one model on this device, as benchmarks/ asks, and makes the report that benchmarks/on_ios.py takes in.
public struct DeviceBenchmark: Sendable {
    static let windowS = 10.0

    private let ready: ModelStore.Ready
    private let baselineMemoryMb: Double?

    /// baselineMemoryMb: of the app before the model was loaded; nil where it was not taken.
    public init(_ ready: ModelStore.Ready, baselineMemoryMb: Double?) {
        (self.ready, self.baselineMemoryMb) = (ready, baselineMemoryMb)
    }

    /// sustainedS: tile after tile for so long afterwards; 0 for none. photo: enhanced from file to file; nil for none.
    ///
    /// Raises what the engine raises, and `CancellationError`.
    public func run(
        runs: Int = 20, sustainedS: Double = 0, photo: URL? = nil,
        progress: @Sendable (Double) async -> Void = { _ in }
    ) async throws -> Report {
        let before = await DeviceState.now
        let loadTimeMs = ready.engine.loadTimeMs
        let timed = try await TimedRuns(
            ready.artifact, ready.engine, runs: runs, loadTimeMs: loadTimeMs, progress: progress)
        let after = await DeviceState.now
        let photos = try await wholePhoto(photo)
        let sustained = try await sustain(sustainedS)
        return Report(
            artifact: ready.artifact,
            target: ReportTarget(
                name: DeviceState.model, cpu: "Apple", os: DeviceState.systemVersion,
                computeUnitAsked: ready.units.rawValue, computeUnitActual: ready.engine.plannedUnits,
                facts: ["model": DeviceState.model], isPhysical: DeviceState.isPhysical),
            proceeding: timed.proceeding, timing: timed.timing, sustained: sustained,
            conditions: ReportConditions(before: before, after: after), wholePhotos: photos,
            peakMemoryMb: DeviceState.memoryMb?.peak, baselineMemoryMb: baselineMemoryMb,
            fidelity: ReportFidelity(
                comparison: ready.selfTest.comparison, outputSha256: ready.selfTest.outputSha256),
            toolVersions: ["core ml": DeviceState.systemVersion, "pocket-ios": "1"],
            date: Date.now.formatted(.iso8601))
    }

    private func wholePhoto(_ file: URL?) async throws -> [ReportWholePhoto] {
        guard let file else { return [] }
        let result = try await PhotoJob(ready).run(file, strength: .full)
        var stages = result.stages
        let written = URL.temporaryDirectory.appending(path: "\(UUID().uuidString).jpg")
        defer { try? FileManager.default.removeItem(at: written) }
        let start = ContinuousClock.now
        try result.enhanced.write(to: written, from: result.decoded, removingPlace: true)
        stages.encodeMs = 1000 * (ContinuousClock.now - start).inSeconds
        let layout = result.enhanced.layout
        return [
            ReportWholePhoto(
                photo: "photo of the user", mosaic: false, heightPx: layout.height, widthPx: layout.width,
                stages: stages,
                peakMemoryMb: DeviceState.memoryMb?.peak)
        ]
    }

    private func sustain(_ wantedS: Double) async throws -> ReportSustained? {
        guard wantedS >= Self.windowS else { return nil }
        let golden = ready.artifact.manifest.golden
        let tile = try ready.artifact.floats(at: golden.tile)
        let condition = try golden.condition.map { try ready.artifact.floats(at: $0) }
        var medians: [Double] = []
        var states: [ReportThermal?] = []
        while Double(medians.count) * Self.windowS < wantedS {
            var samples: [Double] = []
            while samples.reduce(0, +) < Self.windowS {
                try Task.checkCancellation()
                let start = ContinuousClock.now
                _ = try await ready.engine.enhance(tile, condition)
                samples.append((ContinuousClock.now - start).inSeconds)
            }
            medians.append(1000 * (nearestRank(of: samples, 50) ?? 0))
            states.append(DeviceState.thermal)
        }
        let thermal = states.compactMap { $0 }
        return ReportSustained(
            windowS: Self.windowS, p50Ms: medians, thermal: thermal.count == states.count ? thermal : [])
    }
}
#endif
