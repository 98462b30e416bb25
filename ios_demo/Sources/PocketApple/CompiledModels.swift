#if canImport(CoreML)
import CoreML
import Foundation
import PocketCore

/// Core ML packages compiled for this device, once each, by the sha256 that the manifest lists.
///
/// An actor, so that two screens that want the same model at the same time compile it once.
public actor CompiledModels {
    private let folder: URL
    private var running: [String: Task<URL, any Error>] = [:]

    /// folder: in the caches, which the system may empty; then a model is compiled again.
    public init(folder: URL = URL.cachesDirectory.appending(path: "compiled", directoryHint: .isDirectory)) {
        self.folder = folder
    }

    /// The `.mlmodelc` of a package that has been verified. Raises `ModelFailure.notCompiled`.
    public func url(of package: URL, sha256: String) async throws -> URL {
        let place = folder.appending(path: "\(sha256).mlmodelc", directoryHint: .isDirectory)
        if FileManager.default.fileExists(atPath: place.path) { return place }
        let task = running[sha256] ?? Task { try await Self.compile(package, to: place) }
        running[sha256] = task
        defer { running[sha256] = nil }
        do {
            return try await task.value
        } catch {
            throw ModelFailure.notCompiled(error.localizedDescription)
        }
    }

    /// Forgets what was compiled, for when Core ML refuses to load it (after an update of the system).
    public func forget(sha256: String) {
        try? FileManager.default.removeItem(at: folder.appending(path: "\(sha256).mlmodelc"))
    }

    private static func compile(_ package: URL, to place: URL) async throws -> URL {
        let made = try await MLModel.compileModel(at: package)
        let manager = FileManager.default
        try manager.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? manager.removeItem(at: place)
        try manager.moveItem(at: made, to: place)
        return place
    }
}
#endif
