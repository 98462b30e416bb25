import Foundation
import PocketCore
import XCTest

/// conversion/contract/vectors/, which Python makes; SPEC.md beside it says what each field means.
enum GoldenVectors {
    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("conversion/contract/vectors")

    /// The cases of `<name>.json`. A file without cases fails: a test over nothing proves nothing.
    static func cases(_ name: String) throws -> [Case] {
        let content = try Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        guard case .object(let fields) = try Json(parsing: [UInt8](content)), case .list(let cases)? = fields["cases"],
            !cases.isEmpty
        else { throw VectorError.noCases(name) }
        return try cases.map { json in
            guard case .object(let fields) = json else { throw VectorError.noCases(name) }
            return Case(fields: fields)
        }
    }

    /// The good artifact of `artifacts.json`: path -> content.
    static func artifactFiles() throws -> [String: [UInt8]] {
        try cases("artifacts")[0].object("files").mapValues(bytes)
    }

    /// Of a number with or without a fraction.
    static func float(_ json: Json) throws -> Float {
        switch json {
        case .integer(let integer): return Float(integer)
        case .number(let number): return Float(number)
        default: throw VectorError.noField("a number")
        }
    }

    /// Of hexadecimal text.
    static func bytes(_ json: Json) throws -> [UInt8] {
        guard case .text(let text) = json else { throw VectorError.noField("hexadecimal text") }
        let digits = Array(text.utf8)
        return try stride(from: 0, to: digits.count, by: 2).map { at in
            let pair = String(decoding: digits[at..<(at + 2)], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { throw VectorError.noField(pair) }
            return byte
        }
    }

    /// Runs `body` with a folder that holds these files and is gone afterwards.
    static func inFolder(of files: [String: [UInt8]], _ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pocket-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (path, content) in files {
            let file = folder.appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content).write(to: file)
        }
        try await body(folder)
    }

    /// The generator of SPEC.md: byte i is a hash of i and seed.
    static func bytes(_ count: Int, seed: Int) -> [UInt8] {
        (0..<count).map { index in
            var x = UInt32(truncatingIfNeeded: index) &* 2_654_435_761 &+ UInt32(truncatingIfNeeded: seed)
            x = (x ^ (x >> 15)) &* 2_246_822_519
            x = (x ^ (x >> 13)) &* 3_266_489_917
            return UInt8(x >> 24)
        }
    }
}

enum VectorError: Error {
    case noCases(String)
    case noField(String)
}

/// One case of a file of vectors.
struct Case {
    let fields: [String: Json]

    func has(_ key: String) -> Bool { fields[key] != nil }

    func integer(_ key: String) throws -> Int {
        guard case .integer(let integer)? = fields[key] else { throw VectorError.noField(key) }
        return integer
    }

    func text(_ key: String) throws -> String {
        guard case .text(let text)? = fields[key] else { throw VectorError.noField(key) }
        return text
    }

    func textOrNull(_ key: String) throws -> String? {
        fields[key] == .null ? nil : try text(key)
    }

    func number(_ key: String) throws -> Double {
        guard case .number(let number)? = fields[key] else { throw VectorError.noField(key) }
        return number
    }

    func list(_ key: String) throws -> [Json] {
        guard case .list(let items)? = fields[key] else { throw VectorError.noField(key) }
        return items
    }

    func integers(_ key: String) throws -> [Int] {
        try list(key).map { item in
            guard case .integer(let integer) = item else { throw VectorError.noField(key) }
            return integer
        }
    }

    func object(_ key: String) throws -> [String: Json] {
        guard case .object(let fields)? = fields[key] else { throw VectorError.noField(key) }
        return fields
    }

    func float(_ key: String) throws -> Float {
        Float(bitPattern: UInt32(try text(key), radix: 16) ?? 0)
    }

    func tiling() throws -> Tiling {
        let border = try XCTUnwrap(Tiling.Border(rawValue: try text("border")))
        return Tiling(
            tilePx: try integer("tile_px"), haloPx: try integer("halo_px"), alignPx: try integer("align_px"),
            border: border)
    }

    /// Compares a result with `sha256` and with the values that the case lists.
    func check(_ name: String, _ values: [Int], bytesPerValue: Int, line: UInt = #line) throws {
        let bytes = values.flatMap { value in
            (0..<bytesPerValue).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        if has("values") {
            XCTAssertEqual(values, try integers("values"), name, line: line)
        } else {
            XCTAssertEqual(Array(values.prefix(12)), try integers("first"), name, line: line)
            XCTAssertEqual(Array(values.suffix(12)), try integers("last"), name, line: line)
        }
        XCTAssertEqual(Sha256.hex(bytes), try text("sha256"), name, line: line)
    }

    func check(_ name: String, _ bytes: [UInt8], line: UInt = #line) throws {
        try check(name, bytes.map(Int.init), bytesPerValue: 1, line: line)
    }
}
