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
            let analyzeS = try await seconds { _ = try await engine.analyze(thumbnail) }
            let enhanceS = try await seconds { _ = try await engine.enhance(tile, condition) }
            if run >= warmUpRuns {
                analyze.append(analyzeS)
                enhance.append(enhanceS)
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

/// How long `body` takes, by a clock that does not step back.
public func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await body()
    let parts = (clock.now - start).components
    return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
}

/// An engine whose calls are timed, for the share of the model in a whole photo.
public actor TimedEngine: TileEngine {
    private let engine: any TileEngine
    public private(set) var analyzeS = 0.0
    public private(set) var enhanceS = 0.0

    public init(_ engine: any TileEngine) { self.engine = engine }

    public func analyze(_ thumbnail: [Float]) async throws -> [[Float]] {
        var condition: [[Float]] = []
        analyzeS += try await seconds { condition = try await engine.analyze(thumbnail) }
        return condition
    }

    public func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float] {
        var output: [Float] = []
        enhanceS += try await seconds { output = try await engine.enhance(tile, condition) }
        return output
    }
}
