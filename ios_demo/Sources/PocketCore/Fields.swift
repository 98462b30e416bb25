/// A JSON object read strictly: every field of `Key` present, none unknown, each of the type that is asked for.
///
/// Texts are printable and bounded, numbers finite, lists bounded: what is read may be shown, stored and multiplied.
struct Fields<Key: CodingKey & CaseIterable & Hashable> {
    private let place: String
    private let values: [String: Json]

    static var itemsMost: Int { 1000 }
    static var textMost: Int { 2000 }

    init(_ json: Json, _ place: String) throws {
        guard case .object(let values) = json else { throw Refusal(.field, "\(place) is not an object") }
        let names = Key.allCases.map(\.stringValue)
        for name in names where values[name] == nil {
            throw Refusal(.missingField, "\(place) lacks \(name)")
        }
        for name in values.keys where !names.contains(name) {
            throw Refusal(.unknownField, "\(place) has an unknown field \(name.prefix(80).debugDescription)")
        }
        self.place = place
        self.values = values
    }

    func json(_ key: Key) -> Json { values[key.stringValue] ?? .null }

    func name(_ key: Key) -> String { "\(place).\(key.stringValue)" }

    private func wrong(_ key: Key) -> Refusal {
        Refusal(.field, "\(name(key)) has a value that is not of its type")
    }

    func integer(_ key: Key) throws -> Int {
        guard case .integer(let integer) = json(key) else { throw wrong(key) }
        return integer
    }

    func number(_ key: Key) throws -> Double {
        switch json(key) {
        case .integer(let integer): return Double(integer)
        case .number(let number) where number.isFinite: return number
        default: throw wrong(key)
        }
    }

    func text(_ key: Key) throws -> String {
        guard case .text(let text) = json(key), Self.isFit(text) else { throw wrong(key) }
        return text
    }

    func choice<Choice: RawRepresentable>(_ key: Key) throws -> Choice where Choice.RawValue == String {
        guard case .text(let text) = json(key), let choice = Choice(rawValue: text) else { throw wrong(key) }
        return choice
    }

    func list<Item>(_ key: Key, _ read: (Json, String) throws -> Item) throws -> [Item] {
        guard case .list(let items) = json(key), items.count <= Self.itemsMost else { throw wrong(key) }
        return try items.enumerated().map { try read($0.element, "\(name(key))[\($0.offset)]") }
    }

    func integers(_ key: Key) throws -> [Int] {
        try list(key) { item, _ in
            guard case .integer(let integer) = item else { throw wrong(key) }
            return integer
        }
    }

    func texts(_ key: Key) throws -> [String] {
        try list(key) { item, _ in
            guard case .text(let text) = item, Self.isFit(text) else { throw wrong(key) }
            return text
        }
    }

    func mapping<Item>(_ key: Key, _ read: (Json, String) throws -> Item) throws -> [String: Item] {
        guard case .object(let items) = json(key), items.count <= Self.itemsMost, items.keys.allSatisfy(Self.isFit)
        else { throw wrong(key) }
        return Dictionary(
            uniqueKeysWithValues: try items.map { ($0.key, try read($0.value, "\(name(key)).\($0.key)")) })
    }

    /// nil for null.
    func optional<Value>(_ key: Key, _ read: (Json, String) throws -> Value) throws -> Value? {
        json(key) == .null ? nil : try read(json(key), name(key))
    }

    private static func isFit(_ text: String) -> Bool {
        text.unicodeScalars.count <= textMost && text.unicodeScalars.allSatisfy(isPrintable)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}
