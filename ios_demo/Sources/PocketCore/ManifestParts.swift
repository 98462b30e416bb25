/// The parts of a manifest. Each reads itself from JSON, strictly, and refuses what is out of range.

/// One input or output of an entry point.
public struct TensorSpec: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case name, shape, dtype, layout, range
        case channelOrder = "channel_order"
    }

    public enum Dtype: String, CaseIterable, Sendable { case float32, uint8 }
    public enum Layout: String, CaseIterable, Sendable {
        case nchw = "NCHW"
        case nhwc = "NHWC"
        /// A batch of matrices, rows by columns.
        case nrc = "NRC"
    }
    public enum ChannelOrder: String, CaseIterable, Sendable { case rgb = "RGB" }

    static let valuesMost = 1 << 28

    public let name: String
    public let shape: [Int]
    /// uint8 has the range 0 to 255; in a Core ML package it is an image, not a tensor.
    public let dtype: Dtype
    public let layout: Layout
    /// Of the values; nil where they are not bounded.
    public let range: [Double]?
    /// Of an image; nil for the condition.
    public let channelOrder: ChannelOrder?

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        name = try fields.text(.name)
        shape = try fields.integers(.shape)
        dtype = try fields.choice(.dtype)
        layout = try fields.choice(.layout)
        range = fields.json(.range) == .null ? nil : try fields.list(.range, Self.finite)
        channelOrder = fields.json(.channelOrder) == .null ? nil : try fields.choice(.channelOrder) as ChannelOrder
        try require(isName(name, first: .letterOrUnderscore, rest: "_", most: 64), "\(place) has no tensor's name")
        try require(shape.count == layout.rawValue.count, "the shape of \(name) does not fit \(layout.rawValue)")
        try require(range.map { $0.count == 2 } ?? true, "the range of \(name) is not two numbers")
        var values = 1
        for side in shape {
            try require(side >= 1 && side <= Self.valuesMost / values, "the shape of \(name) is absurd")
            values *= side
        }
        try require(dtype == .float32 || range == [0, 255], "\(name): uint8 is 0 to 255")
    }

    private static func finite(_ json: Json, _ place: String) throws -> Double {
        switch json {
        case .integer(let integer): return Double(integer)
        case .number(let number) where number.isFinite: return number
        default: throw Refusal(.field, "\(place) is not a number")
        }
    }

    /// Number of values.
    public var count: Int { shape.reduce(1, *) }

    public var nchw: [Int] {
        layout == .nhwc ? [shape[0], shape[3], shape[1], shape[2]] : shape
    }
}

public struct EntryPoint: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable { case name, file, function, inputs, outputs }
    public enum Name: String, CaseIterable, Sendable { case analyze, enhance }

    public let name: Name
    public let file: String
    public let function: String
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        name = try fields.choice(.name)
        file = try fields.text(.file)
        function = try fields.text(.function)
        inputs = try fields.list(.inputs, TensorSpec.init)
        outputs = try fields.list(.outputs, TensorSpec.init)
    }
}

/// A file, or a folder that is one package (`.mlpackage`): then size and checksum of all in it.
public struct ModelFile: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable { case path, sha256, bytes }

    public let path: String
    public let sha256: String
    public let bytes: Int

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        path = try fields.text(.path)
        sha256 = try fields.text(.sha256)
        bytes = try fields.integer(.bytes)
        guard Self.staysInside(path) else {
            throw Refusal(.path, "\(path.prefix(80).debugDescription) is not a path inside the artifact")
        }
        try require(isSha256(sha256), "\(place) has no sha256")
        try require((0..<(1 << 40)).contains(bytes), "\(path): \(bytes) bytes is absurd")
    }

    static func staysInside(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.allSatisfy { !["", ".", ".."].contains($0) }
            && !path.unicodeScalars.contains { $0 == "\\" || $0 == ":" || $0.value < 32 }
    }
}

extension Tiling {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case tilePx = "tile_px"
        case haloPx = "halo_px"
        case alignPx = "align_px"
        case border
    }

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        self.init(
            tilePx: try fields.integer(.tilePx), haloPx: try fields.integer(.haloPx),
            alignPx: try fields.integer(.alignPx), border: try fields.choice(.border))
        try require((1...4096).contains(tilePx), "a tile of \(tilePx) px is absurd")
        try require((1...tilePx).contains(alignPx), "an alignment of \(alignPx) px is absurd")
        try require(haloPx >= 0 && haloPx < tilePx && 2 * haloPx < tilePx, "a halo of \(haloPx) px is absurd")
        try require(tilePx % alignPx == 0 && haloPx % alignPx == 0, "tile and halo must be multiples of align_px")
    }
}

public struct Delegation: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable { case delegates, delegated, total, exceptions }

    public let delegates: Int
    public let delegated: Int
    public let total: Int
    public let exceptions: [String]

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        delegates = try fields.integer(.delegates)
        delegated = try fields.integer(.delegated)
        total = try fields.integer(.total)
        exceptions = try fields.texts(.exceptions)
    }
}

public struct Quantization: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case weights, activations, analyze
        case floatLayers = "float_layers"
        case calibrationPhotos = "calibration_photos"
        case calibrationSha256 = "calibration_sha256"
    }

    public let weights: String
    public let activations: String
    public let analyze: String
    public let floatLayers: [String]
    public let calibrationPhotos: Int
    public let calibrationSha256: String?

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        weights = try fields.text(.weights)
        activations = try fields.text(.activations)
        analyze = try fields.text(.analyze)
        floatLayers = try fields.texts(.floatLayers)
        calibrationPhotos = try fields.integer(.calibrationPhotos)
        calibrationSha256 = fields.json(.calibrationSha256) == .null ? nil : try fields.text(.calibrationSha256)
        try require(calibrationSha256.map(isSha256) ?? true, "\(place) has no sha256")
    }
}

/// What the float reference makes of one tile, for a self-test on the device: paths of raw little-endian float32.
public struct Golden: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case thumbnail, condition, tile, output
        case tolerancePsnrDb = "tolerance_psnr_db"
    }

    public let thumbnail: String
    public let condition: [String]
    public let tile: String
    public let output: String
    public let tolerancePsnrDb: Double

    public var paths: [String] { [thumbnail] + condition + [tile, output] }

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        thumbnail = try fields.text(.thumbnail)
        condition = try fields.texts(.condition)
        tile = try fields.text(.tile)
        output = try fields.text(.output)
        tolerancePsnrDb = try fields.number(.tolerancePsnrDb)
    }
}

/// The artifact against the float reference, as the converter measured it.
public struct ConversionFidelity: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case photos
        case psnrMeanDb = "psnr_mean_db"
        case psnrWorstDb = "psnr_worst_db"
        case enhancePsnrMeanDb = "enhance_psnr_mean_db"
        case enhancePsnrWorstDb = "enhance_psnr_worst_db"
        case deltaE2000Mean = "delta_e_2000_mean"
        case colourShiftWorst = "colour_shift_worst"
        case borderStepMeanLevels = "border_step_mean_levels"
        case borderStepWorstLevels = "border_step_worst_levels"
        case belowFloor = "below_floor"
    }

    public let photos: Int
    public let psnrMeanDb: Double
    public let psnrWorstDb: Double
    /// What misses the floor, in words; nil where all is met.
    public let belowFloor: String?

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        photos = try fields.integer(.photos)
        psnrMeanDb = try fields.number(.psnrMeanDb)
        psnrWorstDb = try fields.number(.psnrWorstDb)
        for key: CodingKeys in [.enhancePsnrMeanDb, .enhancePsnrWorstDb, .deltaE2000Mean, .colourShiftWorst] {
            _ = try fields.number(key)
        }
        for key: CodingKeys in [.borderStepMeanLevels, .borderStepWorstLevels] where fields.json(key) != .null {
            _ = try fields.number(key)
        }
        belowFloor = fields.json(.belowFloor) == .null ? nil : try fields.text(.belowFloor)
    }
}

/// The checkpoint that was converted.
public struct Provenance: Equatable, Sendable {
    public enum CodingKeys: String, CodingKey, CaseIterable { case name, sha256, generator, config }

    public let name: String
    public let sha256: String
    public let generator: String
    public let config: [String: Int]

    init(_ json: Json, _ place: String) throws {
        let fields = try Fields<CodingKeys>(json, place)
        name = try fields.text(.name)
        sha256 = try fields.text(.sha256)
        generator = try fields.text(.generator)
        config = try fields.mapping(.config) { item, place in
            guard case .integer(let integer) = item else { throw Refusal(.field, "\(place) is not a whole number") }
            return integer
        }
        try require(isSha256(sha256), "\(place) has no sha256")
    }
}

enum FirstCharacter { case letterOrDigit, letterOrUnderscore }

func isName(_ text: String, first: FirstCharacter, rest: String, most: Int) -> Bool {
    guard let start = text.unicodeScalars.first, text.unicodeScalars.count <= most else { return false }
    let starts = first == .letterOrDigit ? isLetter(start) || isDigit(start) : isLetter(start) || start == "_"
    return starts && text.unicodeScalars.allSatisfy { isLetter($0) || isDigit($0) || rest.unicodeScalars.contains($0) }
}

func isSha256(_ text: String) -> Bool {
    text.unicodeScalars.count == 64 && text.unicodeScalars.allSatisfy { isDigit($0) || ("a"..."f").contains($0) }
}

private func isLetter(_ scalar: Unicode.Scalar) -> Bool { ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) }
private func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }
