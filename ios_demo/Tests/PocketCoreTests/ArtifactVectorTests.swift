import Foundation
import PocketCore
import XCTest

/// Manifests and whole artifacts: what is good is taken, what is bad is refused for the right reason.
final class ArtifactVectorTests: XCTestCase {
    func testManifests() throws {
        let cases = try GoldenVectors.cases("manifests")
        let good = try cases[0].text("manifest")
        for vector in cases.dropFirst() {
            let name = try vector.text("name")
            let text: String
            if vector.has("brackets") {
                let count = try vector.integer("brackets")
                text = String(repeating: "[", count: count) + String(repeating: "]", count: count)
            } else {
                text = good.replacingOccurrences(of: try vector.text("replace"), with: try vector.text("by"))
            }
            let refused = refusal { _ = try Manifest(parsing: Array(text.utf8)) }
            XCTAssertEqual(refused, try vector.textOrNull("refused"), name)
        }
    }

    func testTheManifestOfTheContractIsRead() throws {
        let path = GoldenVectors.folder.deletingLastPathComponent().appendingPathComponent("manifest.example.json")
        let manifest = try Manifest(parsing: [UInt8](try Data(contentsOf: path)))
        XCTAssertEqual(manifest.format, .executorch)
        XCTAssertEqual(manifest.analyze.inputs.map(\.name), ["thumbnail"])
        XCTAssertEqual(manifest.enhance.inputs.first?.shape, [1, 3, manifest.tiling.tilePx, manifest.tiling.tilePx])
    }

    func testArtifacts() async throws {
        let cases = try GoldenVectors.cases("artifacts")
        let files = try GoldenVectors.artifactFiles()
        for vector in cases.dropFirst() {
            let name = try vector.text("name")
            var changed = files
            if vector.has("spaces_after_manifest") {
                let spaces = [UInt8](repeating: 32, count: try vector.integer("spaces_after_manifest"))
                changed[Artifact.manifestName, default: []] += spaces
            } else {
                for (path, content) in try vector.object("change") {
                    changed[path] = content == .null ? nil : try GoldenVectors.bytes(content)
                }
            }
            try await GoldenVectors.inFolder(of: changed) { folder in
                let refused = refusal { _ = try Artifact(verifying: folder) }
                XCTAssertEqual(refused, try vector.textOrNull("refused"), name)
            }
        }
    }

    func testALinkThatLeadsOutIsRefused() async throws {
        let files = try GoldenVectors.artifactFiles()
        try await GoldenVectors.inFolder(of: files) { folder in
            let card = folder.appendingPathComponent("MODEL_CARD.md")
            let outside = folder.deletingLastPathComponent().appendingPathComponent("outside-\(UUID().uuidString)")
            try FileManager.default.moveItem(at: card, to: outside)
            defer { try? FileManager.default.removeItem(at: outside) }
            try FileManager.default.createSymbolicLink(at: card, withDestinationURL: outside)
            XCTAssertEqual(refusal { _ = try Artifact(verifying: folder) }, "file_missing")
        }
    }

    func testGoldenFilesAreRead() async throws {
        let files = try GoldenVectors.artifactFiles()
        try await GoldenVectors.inFolder(of: files) { folder in
            let artifact = try Artifact(verifying: folder)
            for (path, spec) in zip(artifact.manifest.golden.paths, artifact.manifest.analyze.inputs) {
                XCTAssertEqual(try artifact.floats(at: path).count, spec.count)
            }
            XCTAssertEqual(refusal { _ = try artifact.floats(at: "absent.f32") }, "file_missing")
        }
    }

    func testPhasesFollowEachOther() {
        let failed = ModelPhase.failed(.notLoaded("no memory."))
        XCTAssertTrue(ModelPhase.missing.mayBecome(.verifying))
        XCTAssertTrue(ModelPhase.compiling.mayBecome(.ready(goldenPsnrDb: 70)))
        XCTAssertTrue(failed.mayBecome(.verifying))
        XCTAssertFalse(ModelPhase.missing.mayBecome(.ready(goldenPsnrDb: 70)))
        XCTAssertFalse(ModelPhase.verifying.mayBecome(.ready(goldenPsnrDb: 70)))
        XCTAssertFalse(failed.mayBecome(.ready(goldenPsnrDb: 70)))
        XCTAssertTrue(ModelPhase.ready(goldenPsnrDb: 70).isReady)
        XCTAssertFalse(failed.isReady)
        let sentence = ModelFailure.selfTest(psnrDb: 23.44, leastDb: 58).sentence
        XCTAssertTrue(sentence.contains("23.4 dB of 58.0 dB"), sentence)
    }

    private func refusal(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let refusal as Refusal {
            return refusal.kind.rawValue
        } catch {
            return "\(error)"
        }
    }
}
