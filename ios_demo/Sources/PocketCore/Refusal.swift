/// Why a manifest or an artifact must not be used.
public struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The classes of SPEC.md.
    public enum Kind: String, CaseIterable, Sendable {
        case tooLarge = "too_large"
        case syntax
        case duplicateKey = "duplicate_key"
        case schemaVersion = "schema_version"
        case missingField = "missing_field"
        case unknownField = "unknown_field"
        case path
        case field
        case manifestChanged = "manifest_changed"
        case fileMissing = "file_missing"
        case fileChanged = "file_changed"
    }

    public let kind: Kind
    /// One sentence that names the field or file.
    public let description: String

    public init(_ kind: Kind, _ description: String) {
        (self.kind, self.description) = (kind, description)
    }
}

/// Throws unless `condition` holds: a value that is out of range or contradicts another.
func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Refusal(.field, what()) }
}
