import Foundation

extension Json {
    /// The one text of a value: keys sorted by code points, six decimals, ASCII. Equal reports are equal bytes (SPEC.md).
    public var canonical: String { canonical(indent: "") }

    private func canonical(indent: String) -> String {
        let inner = indent + "  "
        switch self {
        case .null: return "null"
        case .bool(let truth): return truth ? "true" : "false"
        case .integer(let integer): return String(integer)
        case .number(let number): return Self.fixedPoint(number)
        case .text(let text): return Self.quoted(text)
        case .list(let items):
            guard !items.isEmpty else { return "[]" }
            let lines = items.map { inner + $0.canonical(indent: inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let fields):
            guard !fields.isEmpty else { return "{}" }
            let sorted = fields.sorted { $0.key.unicodeScalars.lexicographicallyPrecedes($1.key.unicodeScalars) }
            let lines = sorted.map { inner + Self.quoted($0.key) + ": " + $0.value.canonical(indent: inner) }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func fixedPoint(_ number: Double) -> String {
        // C's printf is exact; Foundation's formats are so up to 17 digits only, and ask for a locale.
        let needed = withVaList([number]) { vsnprintf(nil, 0, "%.6f", $0) }
        var characters = [CChar](repeating: 0, count: Int(needed) + 1)
        _ = withVaList([number]) { vsnprintf(&characters, characters.count, "%.6f", $0) }
        let text = String(decoding: characters.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text == "-0.000000" ? "0.000000" : text
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for unit in text.utf16 {
            switch unit {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case 0x08: quoted += "\\b"
            case 0x0C: quoted += "\\f"
            case 0x0A: quoted += "\\n"
            case 0x0D: quoted += "\\r"
            case 0x09: quoted += "\\t"
            case 0x20...0x7E: quoted.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return quoted + "\""
    }
}
