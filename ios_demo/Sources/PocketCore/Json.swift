import Foundation

/// A JSON value that keeps whole numbers and fractions apart, as manifests and reports do.
public enum Json: Equatable, Sendable {
    case null
    case bool(Bool)
    /// Smaller than 2^53 in size, which every reader keeps exactly; what is larger reads as an infinite number.
    case integer(Int)
    case number(Double)
    case text(String)
    case list([Json])
    case object([String: Json])

    /// An object whose keys are those of an enumeration, so that a field is spelled in one place.
    public static func object<Key: CodingKey & Hashable>(by fields: [Key: Json]) -> Json {
        .object(Dictionary(uniqueKeysWithValues: fields.map { ($0.key.stringValue, $0.value) }))
    }
}

/// Why a text is not JSON that may be read (RFC 8259, and no key twice).
public enum JsonError: Error, Equatable, Sendable {
    /// At this byte.
    case syntax(Int)
    case duplicateKey(String)
}

extension Json {
    static let depthMost = 32

    /// Raises `JsonError`.
    public init(parsing bytes: [UInt8]) throws {
        var parser = JsonParser(bytes: bytes)
        self = try parser.document()
    }
}

private struct JsonParser {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws -> Json {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw wrong }
        return value
    }

    private var wrong: JsonError { .syntax(at) }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ word: StaticString) throws {
        let matches = word.withUTF8Buffer { word in
            at + word.count <= bytes.count && bytes[at..<(at + word.count)].elementsEqual(word)
        }
        guard matches else { throw wrong }
        at += word.utf8CodeUnitCount
    }

    private mutating func value(depth: Int) throws -> Json {
        guard depth <= Json.depthMost else { throw wrong }
        skipSpace()
        switch next.map(Unicode.Scalar.init) {
        case "{": return try object(depth: depth)
        case "[": return try list(depth: depth)
        case "\"": return .text(try text())
        case "t":
            try expect("true")
            return .bool(true)
        case "f":
            try expect("false")
            return .bool(false)
        case "n":
            try expect("null")
            return .null
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws -> Json {
        at += 1
        var fields: [String: Json] = [:]
        skipSpace()
        if take("}") { return .object(fields) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw wrong }
            let key = try text()
            skipSpace()
            guard take(":") else { throw wrong }
            let value = try value(depth: depth + 1)
            guard fields.updateValue(value, forKey: key) == nil else { throw JsonError.duplicateKey(key) }
            skipSpace()
        } while take(",")
        guard take("}") else { throw wrong }
        return .object(fields)
    }

    private mutating func list(depth: Int) throws -> Json {
        at += 1
        var items: [Json] = []
        skipSpace()
        if take("]") { return .list(items) }
        repeat {
            items.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        guard take("]") else { throw wrong }
        return .list(items)
    }

    private mutating func digits() throws {
        let start = at
        while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
        guard at > start else { throw wrong }
    }

    private mutating func number() throws -> Json {
        let start = at
        _ = take("-")
        let first = next
        let firstAt = at
        try digits()
        guard first != UInt8(ascii: "0") || at == firstAt + 1 else { throw wrong }
        var whole = true
        if take(".") {
            whole = false
            try digits()
        }
        if take("e") || take("E") {
            whole = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let token = String(decoding: bytes[start..<at], as: UTF8.self)
        if whole {
            guard let integer = Int(token), abs(integer) < 1 << 53 else { return .number(.infinity) }
            return .integer(integer)
        }
        guard let number = Double(token) else { throw wrong }
        return .number(number)
    }

    private mutating func text() throws -> String {
        at += 1
        var plain: [UInt8] = []
        while let byte = next {
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(bytes: plain, encoding: .utf8) else { throw wrong }
                return text
            case UInt8(ascii: "\\"):
                plain.append(contentsOf: String(try escape()).utf8)
            case ..<0x20:
                throw wrong
            default:
                plain.append(byte)
            }
        }
        throw wrong
    }

    private mutating func escape() throws -> Unicode.Scalar {
        guard let byte = next else { throw wrong }
        at += 1
        switch Unicode.Scalar(byte) {
        case "\"", "\\", "/": return Unicode.Scalar(byte)
        case "b": return "\u{8}"
        case "f": return "\u{c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u": break
        default: throw wrong
        }
        let unit = try fourDigits()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        if (0xD800..<0xDC00).contains(unit), next == UInt8(ascii: "\\") {
            let before = at
            at += 1
            if take("u"), case let low = try fourDigits(), (0xDC00..<0xE000).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            {
                return scalar
            }
            at = before
        }
        return "\0"  // half a pair is no character: NUL stands for it, which no text of a manifest may hold
    }

    private mutating func fourDigits() throws -> UInt32 {
        guard at + 4 <= bytes.count, bytes[at..<(at + 4)].allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
            let unit = UInt32(String(decoding: bytes[at..<(at + 4)], as: UTF8.self), radix: 16)
        else { throw wrong }
        at += 4
        return unit
    }
}
