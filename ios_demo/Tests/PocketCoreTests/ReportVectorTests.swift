import Foundation
import PocketCore
import XCTest

/// Percentiles, canonical JSON, and a whole report.
final class ReportVectorTests: XCTestCase {
    func testPercentiles() throws {
        for vector in try GoldenVectors.cases("percentiles") {
            if vector.has("latency") {
                let samples = try vector.list("samples_s").map { json -> Double in
                    guard case .text(let bits) = json else { throw VectorError.noField("samples_s") }
                    return Double(bitPattern: UInt64(bits, radix: 16) ?? 0)
                }
                let latency = try XCTUnwrap(Latency(samplesS: samples))
                XCTAssertEqual(latency.json.canonical, try vector.text("latency"))
                continue
            }
            let (count, percent) = (try vector.integer("count"), try vector.integer("percent"))
            let samples = GoldenVectors.bytes(count, seed: try vector.integer("seed")).map { Double($0) + 1 }
            XCTAssertEqual(nearestRank(of: samples, percent), Double(try vector.integer("value")))
        }
        XCTAssertNil(nearestRank(of: [], 50))
        XCTAssertNil(nearestRank(of: [1], 101))
        XCTAssertNil(Latency(samplesS: [1, 0]))
        XCTAssertNil(Latency(samplesS: [.infinity]))
    }

    func testCanonicalJson() throws {
        for vector in try GoldenVectors.cases("canonical_json") {
            let json: Json
            if vector.has("float64") {
                json = .number(Double(bitPattern: UInt64(try vector.text("float64"), radix: 16) ?? 0))
            } else if vector.has("string") {
                json = .text(try vector.text("string"))
            } else {
                json = try Json(parsing: Array(try vector.text("document").utf8))
            }
            XCTAssertEqual(json.canonical, try vector.text("text"))
        }
    }

    func testTheReportOfTheContractIsCanonical() throws {
        let path = GoldenVectors.folder.deletingLastPathComponent().appendingPathComponent("report.example.json")
        let text = String(decoding: try Data(contentsOf: path), as: UTF8.self)
        XCTAssertEqual(try Json(parsing: Array(text.utf8)).canonical + "\n", text)
    }

    /// Written where POCKET_REPORT says, so that Python can read what Swift makes.
    func testAReportOfMadeUpFiguresIsWritten() async throws {
        try await GoldenVectors.inFolder(of: try GoldenVectors.artifactFiles()) { folder in
            try Self.writeReport(of: try Artifact(verifying: folder))
        }
    }

    private static func writeReport(of artifact: Artifact) throws {
        let side = artifact.manifest.tiling.tilePx
        let golden = [Float](repeating: 0.5, count: 3 * side * side)
        let comparison = try XCTUnwrap(
            Comparison(golden.map { $0 + 0.001 }, reference: golden, height: side, width: side))
        let latency = try XCTUnwrap(Latency(samplesS: (1...20).map { 0.001 + 0.00001 * Double($0) }))
        let state = ReportConditions.State(
            thermal: .nominal, batteryPercent: 80, charging: false, lowPowerMode: false)
        var stages = ReportWholePhoto.Stages()
        (stages.decodeMs, stages.tilesMs) = (120, 900)
        let report = Report(
            artifact: artifact,
            target: ReportTarget(
                name: "made-up-phone", cpu: "arm64", os: "iOS 17.4", computeUnitAsked: "all",
                computeUnitActual: "neural engine", facts: ["model": "iPhone0,0"], isPhysical: true),
            proceeding: ReportProtocol(warmUpRuns: 3, runs: 20, coolDownS: 0),
            timing: ReportTiming(loadTimeMs: 85.5, analyze: latency, enhanceTile: latency),
            sustained: ReportSustained(windowS: 10, p50Ms: [1, 1.5], thermal: [.nominal, .fair]),
            conditions: ReportConditions(before: state, after: state),
            wholePhotos: [
                ReportWholePhoto(
                    photo: "made-up", mosaic: true, heightPx: 3024, widthPx: 4032, stages: stages, peakMemoryMb: 90)
            ],
            peakMemoryMb: 90, baselineMemoryMb: 40,
            fidelity: ReportFidelity(comparison: comparison, outputSha256: Sha256.hex([])),
            toolVersions: ["pocket-ios": "1"], date: "2026-01-02T03:04:05Z")
        XCTAssertEqual(try Json(parsing: Array(report.text.utf8)).canonical + "\n", report.text)
        if let path = ProcessInfo.processInfo.environment["POCKET_REPORT"] {
            try Data(report.text.utf8).write(to: URL(fileURLWithPath: path))
        }
    }
}
