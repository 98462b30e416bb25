import Foundation
import PocketCore
import XCTest

/// Self-test, timing and mapped pixels, by an engine that stands in for Core ML.
final class DeviceTests: XCTestCase {
    /// Gives the golden output back, off by `error`.
    private struct GoldenEngine: TileEngine {
        let output: [Float]
        let error: Float

        func analyze(_ thumbnail: [Float]) -> [[Float]] { [[0, 0, 0]] }
        func enhance(_ tile: [Float], _ condition: [[Float]]) -> [Float] { output.map { $0 + error } }
    }

    func testMappedPixelsAreMemory() throws {
        let pixels = try MappedPixels(byteCount: 5000, in: FileManager.default.temporaryDirectory)
        XCTAssertEqual(pixels.bytes.count, 5000)
        XCTAssertTrue(pixels.bytes.allSatisfy { $0 == 0 })
        pixels.bytes[4999] = 7
        XCTAssertEqual(pixels.bytes[4999], 7)
        XCTAssertThrowsError(try MappedPixels(byteCount: 1, in: URL(fileURLWithPath: "/nowhere")))
    }

    func testTheSelfTestJudgesByTheManifest() async throws {
        try await GoldenVectors.inFolder(of: try GoldenVectors.artifactFiles()) { folder in
            try await Self.judge(try Artifact(verifying: folder))
        }
    }

    private static func judge(_ artifact: Artifact) async throws {
        let golden = try artifact.floats(at: artifact.manifest.golden.output)
        let exact = try await SelfTest(artifact, GoldenEngine(output: golden, error: 0))
        XCTAssertEqual(exact.psnrDb, 120)
        do {
            _ = try await SelfTest(artifact, GoldenEngine(output: golden, error: 0.1))
            XCTFail("a wrong output passed")
        } catch ModelFailure.selfTest(let psnrDb, let leastDb) {
            XCTAssertEqual(leastDb, artifact.manifest.golden.tolerancePsnrDb)
            XCTAssertLessThan(psnrDb, leastDb)
        }
        let timed = try await TimedRuns(artifact, GoldenEngine(output: golden, error: 0), runs: 4, loadTimeMs: 1)
        XCTAssertEqual(timed.timing.enhanceTile.samplesMs.count, 4)
        XCTAssertEqual(timed.proceeding, ReportProtocol(warmUpRuns: 3, runs: 4, coolDownS: 0))
    }

    func testATimedEngineGivesWhatItsEngineGives() async throws {
        let timed = TimedEngine(GoldenEngine(output: [1, 2], error: 1))
        let output = try await timed.enhance([], [])
        XCTAssertEqual(output, [2, 3])
        let spent = await timed.enhanceS
        XCTAssertGreaterThan(spent, 0)
    }
}
