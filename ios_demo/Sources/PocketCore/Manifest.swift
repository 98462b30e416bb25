/// All that an app must know of an artifact: `manifest.json`, which conversion/artifact.py writes (SPEC.md).
public struct Manifest: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case schemaVersion = "schema_version"
        case name, format, target, precision, quantization, files
        case entryPoints = "entry_points"
        case thumbnailPx = "thumbnail_px"
        case tiling, colour, delegation, golden, fidelity
        case conversionS = "conversion_s"
        case source, tools, licence
    }

    public enum Format: String, CaseIterable, Sendable { case executorch, tflite, coreml }
    public enum Target: String, CaseIterable, Sendable { case xnnpack, vulkan, coreml, litert, ios17, ios18 }
    public enum Precision: String, CaseIterable, Sendable { case fp32, fp16, w8, dyn8, w8a8, pal6, pal4 }
    public enum Colour: String, CaseIterable, Sendable { case encodedSrgb = "sRGB, encoded" }

    public static let schemaVersion = 1
    public static let bytesMost = 1_000_000

    public let name: String
    public let format: Format
    public let target: Target
    public let precision: Precision
    public let quantization: Quantization?
    public let files: [ModelFile]
    public let analyze: EntryPoint
    public let enhance: EntryPoint
    public let thumbnailPx: Int
    public let tiling: Tiling
    public let colour: Colour
    public let delegation: [String: Delegation?]
    public let golden: Golden
    public let fidelity: ConversionFidelity?
    public let conversionS: Double
    public let source: Provenance
    public let tools: [String: String]
    public let licence: String

    /// Raises `Refusal`.
    public init(parsing bytes: [UInt8]) throws {
        guard bytes.count <= Self.bytesMost else { throw Refusal(.tooLarge, "it is larger than any manifest") }
        let json: Json
        do {
            json = try Json(parsing: bytes)
        } catch JsonError.duplicateKey(let key) {
            throw Refusal(.duplicateKey, "the key \(key.prefix(80).debugDescription) occurs twice in the manifest")
        } catch {
            throw Refusal(.syntax, "the manifest is not JSON")
        }
        guard case .object(let fields) = json,
            fields[CodingKeys.schemaVersion.stringValue] == .integer(Self.schemaVersion)
        else { throw Refusal(.schemaVersion, "the manifest is not of schema version \(Self.schemaVersion)") }
        try self.init(json)
    }

    private init(_ json: Json) throws {
        let fields = try Fields<CodingKeys>(json, "manifest")
        name = try fields.text(.name)
        format = try fields.choice(.format)
        target = try fields.choice(.target)
        precision = try fields.choice(.precision)
        quantization = try fields.optional(.quantization, Quantization.init)
        files = try fields.list(.files, ModelFile.init)
        let points = try fields.list(.entryPoints, EntryPoint.init)
        thumbnailPx = try fields.integer(.thumbnailPx)
        tiling = try Tiling(fields.json(.tiling), fields.name(.tiling))
        colour = try fields.choice(.colour)
        delegation = try fields.mapping(.delegation) { item, place in
            item == .null ? nil : try Delegation(item, place)
        }
        golden = try Golden(fields.json(.golden), fields.name(.golden))
        fidelity = try fields.optional(.fidelity, ConversionFidelity.init)
        conversionS = try fields.number(.conversionS)
        source = try Provenance(fields.json(.source), fields.name(.source))
        tools = try fields.mapping(.tools) { item, place in
            guard case .text(let text) = item else { throw Refusal(.field, "\(place) is not text") }
            return text
        }
        licence = try fields.text(.licence)
        guard points.count == 2, let analyze = points.first(where: { $0.name == .analyze }),
            let enhance = points.first(where: { $0.name == .enhance })
        else { throw Refusal(.field, "entry_points are not analyze and enhance") }
        (self.analyze, self.enhance) = (analyze, enhance)
        try checkNames()
        try checkShapes()
    }

    private func checkNames() throws {
        try require(isName(name, first: .letterOrDigit, rest: "._-", most: 128), "the name is not that of an artifact")
        try require((1...4096).contains(thumbnailPx), "a thumbnail of \(thumbnailPx) px is absurd")
        let listed = Set(files.map(\.path))
        try require(listed.count == files.count, "a file is listed twice")
        for path in [analyze.file, enhance.file] + golden.paths {
            try require(listed.contains(path), "\(path.prefix(80).debugDescription) is not listed in files")
        }
    }

    /// What analyze and enhance take and give must fit the tiling, each other and the golden files.
    private func checkShapes() throws {
        let thumbnail = [1, 3, thumbnailPx, thumbnailPx]
        let tile = [1, 3, tiling.tilePx, tiling.tilePx]
        try require(analyze.inputs.map(\.nchw) == [thumbnail], "analyze does not take the thumbnail")
        try require(enhance.outputs.map(\.nchw) == [tile], "enhance does not give a tile")
        try require(
            enhance.inputs.map(\.nchw) == [tile] + analyze.outputs.map(\.nchw),
            "enhance does not take a tile and the condition that analyze gives")
        try require(golden.condition.count == analyze.outputs.count, "golden has not the condition of analyze")
        let bytes = Dictionary(files.map { ($0.path, $0.bytes) }) { first, _ in first }
        let specs = analyze.inputs + analyze.outputs + Array(enhance.inputs.prefix(1)) + enhance.outputs
        for (path, spec) in zip(golden.paths, specs) {
            try require(bytes[path] == 4 * spec.count, "\(path) is not \(spec.name) in float32")
        }
    }
}
