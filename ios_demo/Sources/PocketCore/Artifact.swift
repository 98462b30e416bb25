import Foundation

/// A converted model on disk: a folder with `manifest.json` and the files that it lists.
public struct Artifact: Sendable {
    public static let manifestName = "manifest.json"
    public static let checksumName = "manifest.json.sha256"

    public let folder: URL
    public let manifest: Manifest
    /// Of `manifest.json`: names this artifact, whatever its folder is called.
    public let manifestSha256: String

    /// Reads the manifest and checks every file against it. Nothing of an artifact may be used before.
    ///
    /// Raises `Refusal`; it names the first file that is wrong.
    public init(verifying folder: URL) throws {
        let path = folder.appendingPathComponent(Self.manifestName)
        guard let size = Self.size(of: path) else { throw Refusal(.fileMissing, "\(Self.manifestName) is missing") }
        guard size <= Manifest.bytesMost else {
            throw Refusal(.tooLarge, "\(Self.manifestName) is larger than any manifest")
        }
        guard let content = try? Data(contentsOf: path) else {
            throw Refusal(.fileMissing, "\(Self.manifestName) cannot be read")
        }
        let bytes = [UInt8](content)
        manifest = try Manifest(parsing: bytes)
        self.folder = folder
        manifestSha256 = Sha256.hex(bytes)
        let noted = try? Data(contentsOf: folder.appendingPathComponent(Self.checksumName))
        guard noted == Data("\(manifestSha256)  \(Self.manifestName)\n".utf8) else {
            throw Refusal(.manifestChanged, "\(Self.manifestName) differs from its checksum")
        }
        for file in manifest.files {
            try check(file)
        }
    }

    public func url(of path: String) -> URL { folder.appendingPathComponent(path) }

    /// Values of a golden file, in the shape of its tensor.
    public func floats(at path: String) throws -> [Float] {
        guard let content = try? Data(contentsOf: url(of: path)), content.count % 4 == 0 else {
            throw Refusal(.fileMissing, "\(path) cannot be read as float32")
        }
        return content.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: 4).map { at in
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            }
        }
    }

    private func check(_ file: ModelFile) throws {
        let whole = url(of: file.path)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: whole.path, isDirectory: &isFolder) else {
            throw Refusal(.fileMissing, "\(file.path) is missing")
        }
        let members = isFolder.boolValue ? try self.members(of: whole) : [""]
        var bytes = 0
        var lines: [String] = []
        for member in members {
            let path = member.isEmpty ? whole : whole.appendingPathComponent(member)
            guard isInside(path), let size = Self.size(of: path), let sum = Self.sha256(of: path) else {
                throw Refusal(.fileMissing, "\(file.path) is missing, or a link that leads out of the artifact")
            }
            bytes += size
            lines.append(member.isEmpty ? sum : "\(member)\0\(sum)\n")
        }
        lines.sort { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        let sum = isFolder.boolValue ? Sha256.hex(Array(lines.joined().utf8)) : lines.joined()
        guard bytes == file.bytes, sum == file.sha256 else {
            throw Refusal(.fileChanged, "\(file.path) differs from its checksum")
        }
    }

    /// Paths relative to a package, of all in it but folders.
    private func members(of package: URL) throws -> [String] {
        let manager = FileManager.default
        guard let paths = try? manager.subpathsOfDirectory(atPath: package.path) else {
            throw Refusal(.fileMissing, "\(package.lastPathComponent) cannot be read")
        }
        return paths.filter { path in
            var isFolder: ObjCBool = false
            let there = manager.fileExists(atPath: package.appendingPathComponent(path).path, isDirectory: &isFolder)
            return !(there && isFolder.boolValue)
        }
    }

    private func isInside(_ path: URL) -> Bool {
        let root = folder.resolvingSymlinksInPath().standardizedFileURL.path
        return path.resolvingSymlinksInPath().standardizedFileURL.path.hasPrefix(root + "/")
    }

    private static func size(of path: URL) -> Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path.resolvingSymlinksInPath().path)
        return (attributes?[.size] as? NSNumber)?.intValue
    }

    private static func sha256(of path: URL) -> String? {
        guard let file = try? FileHandle(forReadingFrom: path) else { return nil }
        defer { try? file.close() }
        var sum = Sha256()
        do {
            while let part = try file.read(upToCount: 1 << 20), !part.isEmpty {  // nil at the end
                part.withUnsafeBytes { sum.update($0) }
            }
        } catch {
            return nil
        }
        return sum.hexDigest()
    }
}
