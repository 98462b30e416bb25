#if canImport(CoreML)
import Foundation
import PocketCore

/// The artifacts that the app carries, and the way of each to an engine that has passed its self-test.
public actor ModelStore {
    private let folder: URL
    private let compiled: CompiledModels

    /// folder: holds one folder per artifact, as `conversion/to_coreml.py --out` leaves them.
    public init(folder: URL, compiled: CompiledModels = CompiledModels()) {
        (self.folder, self.compiled) = (folder, compiled)
    }

    /// Names of the artifacts, in order.
    public nonisolated var names: [String] {
        let inside = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return inside.filter { name in
            let manifest = folder.appending(path: name).appending(path: Artifact.manifestName)
            return FileManager.default.fileExists(atPath: manifest.path)
        }.sorted()
    }

    /// MODEL_CARD.md of an artifact, Markdown.
    public nonisolated func card(of name: String) -> String? {
        try? String(contentsOf: folder.appending(path: name).appending(path: "MODEL_CARD.md"), encoding: .utf8)
    }

    public struct Ready: Sendable {
        public let artifact: Artifact
        public let engine: CoreMLEngine
        public let units: ComputeUnits
        public let selfTest: SelfTest
    }

    /// Verifies, compiles, loads and tests; `phase` hears of every step. nil where the last phase is not ready.
    public func open(
        _ name: String, units: ComputeUnits, phase: @Sendable (ModelPhase) async -> Void
    ) async -> Ready? {
        guard names.contains(name) else {
            await phase(.missing)
            return nil
        }
        do {
            await phase(.verifying)
            let artifact = try Artifact(verifying: folder.appending(path: name, directoryHint: .isDirectory))
            await phase(.compiling)
            let engine = try await load(artifact, units)
            let selfTest = try await SelfTest(artifact, engine)
            await phase(.ready(goldenPsnrDb: selfTest.psnrDb))
            return Ready(artifact: artifact, engine: engine, units: units, selfTest: selfTest)
        } catch let refusal as Refusal {
            await phase(.failed(.refused(refusal)))
        } catch let failure as ModelFailure {
            await phase(.failed(failure))
        } catch {
            await phase(.failed(.notLoaded(error.localizedDescription)))
        }
        return nil
    }

    /// A model that was compiled under another system may no longer load: once more from the package then.
    private func load(_ artifact: Artifact, _ units: ComputeUnits) async throws -> CoreMLEngine {
        do {
            return try await CoreMLEngine(artifact, units: units, compiled: compiled)
        } catch ModelFailure.notLoaded {
            for file in artifact.manifest.files { await compiled.forget(sha256: file.sha256) }
            return try await CoreMLEngine(artifact, units: units, compiled: compiled)
        }
    }
}
#endif
