/// What one artifact did on this device: the JSON that `benchmarks/` reads (conversion/contract/report.schema.json).
///
/// The verdict is left to the importer, which judges every report anew.
public struct Report: Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case schemaVersion = "schema_version"
        case artifact, target
        case proceeding = "protocol"
        case timing, instructions, sustained, conditions
        case wholePhotos = "whole_photos"
        case peakMemoryMb = "peak_memory_mb"
        case baselineMemoryMb = "baseline_memory_mb"
        case fidelity, verdict
        case toolVersions = "tool_versions"
        case date, pictures
    }

    public enum VerdictKeys: String, CodingKey, CaseIterable { case fidelity, latency, reasons }

    public static let schemaVersion = 1

    public let artifact: Artifact
    public let target: ReportTarget
    public let proceeding: ReportProtocol
    public let timing: ReportTiming
    public let sustained: ReportSustained?
    public let conditions: ReportConditions
    public let wholePhotos: [ReportWholePhoto]
    public let peakMemoryMb: Double?
    public let baselineMemoryMb: Double?
    public let fidelity: ReportFidelity
    public let toolVersions: [String: String]
    /// ISO 8601, UTC, to the second.
    public let date: String

    public init(
        artifact: Artifact, target: ReportTarget, proceeding: ReportProtocol, timing: ReportTiming,
        sustained: ReportSustained?, conditions: ReportConditions, wholePhotos: [ReportWholePhoto],
        peakMemoryMb: Double?, baselineMemoryMb: Double?, fidelity: ReportFidelity, toolVersions: [String: String],
        date: String
    ) {
        (self.artifact, self.target, self.proceeding, self.timing) = (artifact, target, proceeding, timing)
        (self.sustained, self.conditions, self.wholePhotos) = (sustained, conditions, wholePhotos)
        (self.peakMemoryMb, self.baselineMemoryMb) = (peakMemoryMb, baselineMemoryMb)
        (self.fidelity, self.toolVersions, self.date) = (fidelity, toolVersions, date)
    }

    public var json: Json {
        let manifest = artifact.manifest
        let faithful = fidelity.comparison.psnrDb >= manifest.golden.tolerancePsnrDb
        return .object(by: [
            CodingKeys.schemaVersion: .integer(Self.schemaVersion),
            .artifact: manifest.reportFacts,
            .target: target.json,
            .proceeding: proceeding.json,
            .timing: timing.json(kept: manifest.tiling.tilePx - 2 * manifest.tiling.haloPx),
            .instructions: .null,
            .sustained: sustained?.json ?? .null,
            .conditions: conditions.json,
            .wholePhotos: .list(wholePhotos.map(\.json)),
            .peakMemoryMb: .optional(peakMemoryMb),
            .baselineMemoryMb: .optional(baselineMemoryMb),
            .fidelity: fidelity.json(manifest),
            .verdict: .object(by: [
                VerdictKeys.fidelity: .text(faithful ? "pass" : "fail"),
                .latency: .text("invalid"),
                .reasons: .list([.text("not judged yet: import it with benchmarks/on_ios.py")]),
            ]),
            .toolVersions: .object(toolVersions.mapValues(Json.text)),
            .date: .text(date),
            .pictures: .list([]),
        ])
    }

    /// Canonical, as `<artifact>__<target>.json` holds it.
    public var text: String { json.canonical + "\n" }
}

extension Json {
    static func optional(_ number: Double?) -> Json { number.map(Json.number) ?? .null }
    static func optional(_ truth: Bool?) -> Json { truth.map(Json.bool) ?? .null }
}

/// The keys of `Report.artifact`.
public enum ReportArtifactKeys: String, CodingKey, CaseIterable {
    case name, format, precision, bytes, sha256
    case sourceCheckpointSha256 = "source_checkpoint_sha256"
    case tilePx = "tile_px"
    case haloPx = "halo_px"
    case delegatedNodes = "delegated_nodes"
    case totalNodes = "total_nodes"
}

extension Manifest {
    var reportFacts: Json {
        let models = Set([analyze.file, enhance.file])
        let taken = delegation[EntryPoint.Name.enhance.rawValue] ?? nil
        return .object(by: [
            ReportArtifactKeys.name: .text(name),
            .format: .text(format.rawValue),
            .precision: .text(precision.rawValue),
            .bytes: .integer(files.filter { models.contains($0.path) }.map(\.bytes).reduce(0, +)),
            .sha256: .object(Dictionary(files.map { ($0.path, Json.text($0.sha256)) }) { first, _ in first }),
            .sourceCheckpointSha256: .text(source.sha256),
            .tilePx: .integer(tiling.tilePx),
            .haloPx: .integer(tiling.haloPx),
            .delegatedNodes: taken.map { .integer($0.delegated) } ?? .null,
            .totalNodes: taken.map { .integer($0.total) } ?? .null,
        ])
    }
}
