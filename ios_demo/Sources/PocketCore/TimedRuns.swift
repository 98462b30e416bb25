/// Timed runs of an engine on the artifact's golden tensors, by the protocol of benchmarks/.
public struct TimedRuns: Sendable {
    public let timing: ReportTiming
    public let proceeding: ReportProtocol

    /// loadTimeMs: measured by whoever loaded the model. Raises what the engine raises, and `CancellationError`.
    public init(
        _ artifact: Artifact, _ engine: any TileEngine, warmUpRuns: Int = 3, runs: Int = 20, loadTimeMs: Double,
        progress: (Double) async -> Void = { _ in }
    ) async throws {
        let golden = artifact.manifest.golden
        let thumbnail = try artifact.floats(at: golden.thumbnail)
        let tile = try artifact.floats(at: golden.tile)
        let condition = try golden.condition.map { try artifact.floats(at: $0) }
        var analyze: [Double] = []
        var enhance: [Double] = []
        for run in 0..<(warmUpRuns + runs) {
            try Task.checkCancellation()
            let start = ContinuousClock.now
            _ = try await engine.analyze(thumbnail)
            let between = ContinuousClock.now
            _ = try await engine.enhance(tile, condition)
            let end = ContinuousClock.now
            if run >= warmUpRuns {
                analyze.append((between - start).inSeconds)
                enhance.append((end - between).inSeconds)
            }
            await progress(Double(run + 1) / Double(warmUpRuns + runs))
        }
        guard let analyzing = Latency(samplesS: analyze), let enhancing = Latency(samplesS: enhance) else {
            throw ModelFailure.notLoaded("its clock is too coarse, or there were no runs.")
        }
        timing = ReportTiming(loadTimeMs: loadTimeMs, analyze: analyzing, enhanceTile: enhancing)
        proceeding = ReportProtocol(warmUpRuns: warmUpRuns, runs: runs, coolDownS: 0)
    }
}

extension Duration {
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// An engine whose calls are timed, for the share of the model in a whole photo.
public actor TimedEngine: TileEngine {
    private let engine: any TileEngine
    public private(set) var analyzeS = 0.0
    public private(set) var enhanceS = 0.0

    public init(_ engine: any TileEngine) { self.engine = engine }

    public func analyze(_ thumbnail: [Float]) async throws -> [[Float]] {
        let start = ContinuousClock.now
        let condition = try await engine.analyze(thumbnail)
        analyzeS += (ContinuousClock.now - start).inSeconds
        return condition
    }

    public func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float] {
        let start = ContinuousClock.now
        let output = try await engine.enhance(tile, condition)
        enhanceS += (ContinuousClock.now - start).inSeconds
        return output
    }
}
