/// The parts of a report, each with the keys of conversion/contract/report.schema.json.

public struct ReportTarget: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case kind, name, cpu, os
        case computeUnitAsked = "compute_unit_asked"
        case computeUnitActual = "compute_unit_actual"
        case facts
    }

    public let name: String
    public let cpu: String
    public let os: String
    public let computeUnitAsked: String
    public let computeUnitActual: String
    /// What the device says of itself; never what identifies one device or its owner.
    public let facts: [String: String]
    /// False in the Simulator, whose times are not a phone's.
    public let isPhysical: Bool

    public init(
        name: String, cpu: String, os: String, computeUnitAsked: String, computeUnitActual: String,
        facts: [String: String], isPhysical: Bool
    ) {
        (self.name, self.cpu, self.os, self.facts, self.isPhysical) = (name, cpu, os, facts, isPhysical)
        (self.computeUnitAsked, self.computeUnitActual) = (computeUnitAsked, computeUnitActual)
    }

    var json: Json {
        .object(by: [
            CodingKeys.kind: .text(isPhysical ? "physical" : "host"),
            .name: .text(name),
            .cpu: .text(cpu),
            .os: .text(os),
            .computeUnitAsked: .text(computeUnitAsked),
            .computeUnitActual: .text(computeUnitActual),
            .facts: .object(facts.mapValues(Json.text)),
        ])
    }
}

public struct ReportProtocol: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case warmUpRuns = "warm_up_runs"
        case runs, threads
        case coolDownS = "cool_down_s"
    }

    public let warmUpRuns: Int
    public let runs: Int
    public let coolDownS: Double

    public init(warmUpRuns: Int, runs: Int, coolDownS: Double) {
        (self.warmUpRuns, self.runs, self.coolDownS) = (warmUpRuns, runs, coolDownS)
    }

    var json: Json {
        .object(by: [
            CodingKeys.warmUpRuns: .integer(warmUpRuns),
            .runs: .integer(runs),
            .threads: .integer(1),  // tiles one after the other; Core ML decides about its own
            .coolDownS: .number(coolDownS),
        ])
    }
}

public struct ReportTiming: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case loadTimeMs = "load_time_ms"
        case analyze
        case enhanceTile = "enhance_tile"
        case enhanceMsPerMegapixel = "enhance_ms_per_megapixel"
    }

    public let loadTimeMs: Double
    public let analyze: Latency
    public let enhanceTile: Latency

    public init(loadTimeMs: Double, analyze: Latency, enhanceTile: Latency) {
        (self.loadTimeMs, self.analyze, self.enhanceTile) = (loadTimeMs, analyze, enhanceTile)
    }

    /// kept: side of what a tile keeps, in pixels, so the halo counts as cost.
    func json(kept: Int) -> Json {
        .object(by: [
            CodingKeys.loadTimeMs: .number(loadTimeMs),
            .analyze: analyze.json,
            .enhanceTile: enhanceTile.json,
            .enhanceMsPerMegapixel: .number(enhanceTile.percentile(50) / Double(kept * kept) * 1e6),
        ])
    }
}

public enum ReportThermal: String, CaseIterable, Sendable { case nominal, fair, serious, critical }

/// Tile after tile without a pause: the median time of a tile in each window.
public struct ReportSustained: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case windowS = "window_s"
        case p50Ms = "p50_ms"
        case thermal
    }

    public let windowS: Double
    public let p50Ms: [Double]
    public let thermal: [ReportThermal]

    public init(windowS: Double, p50Ms: [Double], thermal: [ReportThermal]) {
        (self.windowS, self.p50Ms, self.thermal) = (windowS, p50Ms, thermal)
    }

    var json: Json {
        .object(by: [
            CodingKeys.windowS: .number(windowS),
            .p50Ms: .list(p50Ms.map(Json.number)),
            .thermal: .list(thermal.map { .text($0.rawValue) }),
        ])
    }
}

/// The state of the device before and after the timed runs; nil where it does not tell. iOS tells no temperature.
public struct ReportConditions: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case thermalBefore = "thermal_before"
        case thermalAfter = "thermal_after"
        case temperatureBeforeC = "temperature_before_c"
        case temperatureAfterC = "temperature_after_c"
        case batteryBeforePercent = "battery_before_percent"
        case batteryAfterPercent = "battery_after_percent"
        case charging
        case lowPowerMode = "low_power_mode"
    }

    /// One moment.
    public struct State: Equatable, Sendable {
        public let thermal: ReportThermal?
        public let batteryPercent: Double?
        public let charging: Bool?
        public let lowPowerMode: Bool?

        public init(thermal: ReportThermal?, batteryPercent: Double?, charging: Bool?, lowPowerMode: Bool?) {
            (self.thermal, self.batteryPercent) = (thermal, batteryPercent)
            (self.charging, self.lowPowerMode) = (charging, lowPowerMode)
        }
    }

    public let before: State
    public let after: State

    public init(before: State, after: State) { (self.before, self.after) = (before, after) }

    var json: Json {
        .object(by: [
            CodingKeys.thermalBefore: before.thermal.map { .text($0.rawValue) } ?? .null,
            .thermalAfter: after.thermal.map { .text($0.rawValue) } ?? .null,
            .temperatureBeforeC: .null,
            .temperatureAfterC: .null,
            .batteryBeforePercent: .optional(before.batteryPercent),
            .batteryAfterPercent: .optional(after.batteryPercent),
            .charging: .optional(after.charging),
            .lowPowerMode: .optional(after.lowPowerMode),
        ])
    }
}

/// One photo from file to file; stages follow one another.
public struct ReportWholePhoto: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case photo, mosaic
        case heightPx = "height_px"
        case widthPx = "width_px"
        case runs
        case decodeMs = "decode_ms"
        case analyzeMs = "analyze_ms"
        case tilesMs = "tiles_ms"
        case stitchMs = "stitch_ms"
        case encodeMs = "encode_ms"
        case peakMemoryMb = "peak_memory_mb"
    }

    public struct Stages: Equatable, Sendable {
        public var decodeMs = 0.0
        /// Thumbnail included.
        public var analyzeMs = 0.0
        /// The model alone.
        public var tilesMs = 0.0
        /// Cutting tiles, clamping, joining.
        public var stitchMs = 0.0
        public var encodeMs = 0.0

        public init() {}
    }

    public let photo: String
    /// Made of generated pixels, not a camera's.
    public let mosaic: Bool
    public let heightPx: Int
    public let widthPx: Int
    public let stages: Stages
    public let peakMemoryMb: Double?

    public init(photo: String, mosaic: Bool, heightPx: Int, widthPx: Int, stages: Stages, peakMemoryMb: Double?) {
        (self.photo, self.mosaic, self.heightPx, self.widthPx) = (photo, mosaic, heightPx, widthPx)
        (self.stages, self.peakMemoryMb) = (stages, peakMemoryMb)
    }

    var json: Json {
        .object(by: [
            CodingKeys.photo: .text(photo),
            .mosaic: .bool(mosaic),
            .heightPx: .integer(heightPx),
            .widthPx: .integer(widthPx),
            .runs: .integer(1),
            .decodeMs: .number(stages.decodeMs),
            .analyzeMs: .number(stages.analyzeMs),
            .tilesMs: .number(stages.tilesMs),
            .stitchMs: .number(stages.stitchMs),
            .encodeMs: .number(stages.encodeMs),
            .peakMemoryMb: .optional(peakMemoryMb),
        ])
    }
}

/// The device's golden tile against the float reference's: all that a phone has to compare with.
public struct ReportFidelity: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case scope
        case referenceSha256 = "reference_sha256"
        case psnrDbMean = "psnr_db_mean"
        case psnrDbWorst = "psnr_db_worst"
        case psnrDbMeanFloor = "psnr_db_mean_floor"
        case psnrDbWorstFloor = "psnr_db_worst_floor"
        case ssimMean = "ssim_mean"
        case deltaE2000Mean = "delta_e_2000_mean"
        case colourShiftWorst = "colour_shift_worst"
        case photos
    }

    public enum PhotoKeys: String, CodingKey, CaseIterable {
        case photo, simulated
        case heightPx = "height_px"
        case widthPx = "width_px"
        case outputSha256 = "output_sha256"
        case psnrDb = "psnr_db"
        case ssim
        case deltaE2000 = "delta_e_2000"
        case colourShift = "colour_shift"
    }

    public let comparison: Comparison
    /// Of the output in 8 bits, R G B by row.
    public let outputSha256: String

    public init(comparison: Comparison, outputSha256: String) {
        (self.comparison, self.outputSha256) = (comparison, outputSha256)
    }

    func json(_ manifest: Manifest) -> Json {
        let floor = Json.number(manifest.golden.tolerancePsnrDb)
        let photo = Json.object(by: [
            PhotoKeys.photo: .text("golden tile"),
            .simulated: .bool(true),
            .heightPx: .integer(manifest.tiling.tilePx),
            .widthPx: .integer(manifest.tiling.tilePx),
            .outputSha256: .text(outputSha256),
            .psnrDb: .number(comparison.psnrDb),
            .ssim: .number(comparison.ssim),
            .deltaE2000: .number(comparison.deltaE2000),
            .colourShift: .list(comparison.colourShift.map(Json.number)),
        ])
        return .object(by: [
            CodingKeys.scope: .text("golden tile"),
            .referenceSha256: .text(manifest.source.sha256),
            .psnrDbMean: .number(comparison.psnrDb),
            .psnrDbWorst: .number(comparison.psnrDb),
            .psnrDbMeanFloor: floor,
            .psnrDbWorstFloor: floor,
            .ssimMean: .number(comparison.ssim),
            .deltaE2000Mean: .number(comparison.deltaE2000),
            .colourShiftWorst: .number(comparison.colourShift.map(abs).max() ?? 0),
            .photos: .list([photo]),
        ])
    }
}
