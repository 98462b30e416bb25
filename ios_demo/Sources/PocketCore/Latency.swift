/// Times of one entry point in milliseconds, percentiles by nearest rank: each is a time that was really measured.
public struct Latency: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case count
        case min = "min_ms"
        case p50 = "p50_ms"
        case p90 = "p90_ms"
        case max = "max_ms"
        case mean = "mean_ms"
        case relativeSpread = "relative_spread"
        case samples = "samples_ms"
    }

    public let samplesMs: [Double]

    /// nil unless there are 1 to 1000 samples in seconds, all positive and finite.
    public init?(samplesS: [Double]) {
        guard (1...1000).contains(samplesS.count), samplesS.allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
        samplesMs = samplesS.map { 1000 * $0 }
    }

    public func percentile(_ percent: Int) -> Double {
        nearestRank(of: samplesMs, percent) ?? .nan
    }

    public var json: Json {
        let p50 = percentile(50)
        return .object(by: [
            CodingKeys.count: .integer(samplesMs.count),
            .min: .number(percentile(0)),
            .p50: .number(p50),
            .p90: .number(percentile(90)),
            .max: .number(percentile(100)),
            .mean: .number(samplesMs.reduce(0, +) / Double(samplesMs.count)),
            .relativeSpread: .number((percentile(90) - percentile(10)) / p50),
            .samples: .list(samplesMs.map(Json.number)),
        ])
    }
}

/// The smallest sample that at least `percent` % of all do not exceed; nil without samples or outside 0...100.
public func nearestRank(of samples: [Double], _ percent: Int) -> Double? {
    guard !samples.isEmpty, (0...100).contains(percent) else { return nil }
    let rank = max(1, (percent * samples.count + 99) / 100)
    return samples.sorted()[rank - 1]
}
