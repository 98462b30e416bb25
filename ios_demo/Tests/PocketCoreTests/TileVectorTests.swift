import Foundation
import PocketCore
import XCTest

/// Tiles: the plan, who keeps which pixel, and a whole photo by an engine of whole grey levels.
final class TileVectorTests: XCTestCase {
    func testTilePlans() throws {
        for vector in try GoldenVectors.cases("tile_plans") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            let tiling = try vector.tiling()
            let name = "\(height)x\(width) by \(tiling)"
            if vector.has("refused") {
                let refused = try vector.text("refused")
                XCTAssertThrowsError(try TilePlan(height: height, width: width, tiling: tiling), name) {
                    XCTAssertEqual(($0 as? PlanError)?.rawValue, refused)
                }
                continue
            }
            let plan = try TilePlan(height: height, width: width, tiling: tiling)
            let listed: [[Int]] = plan.tiles.map { tile in
                [tile.top, tile.left, tile.rows.lowerBound, tile.rows.upperBound]
                    + [tile.columns.lowerBound, tile.columns.upperBound]
            }
            XCTAssertEqual(plan.count, try vector.integer("count"), name)
            XCTAssertEqual(listed.count, plan.count, name)
            let text = listed.map { $0.map(String.init).joined(separator: " ") + "\n" }.joined()
            XCTAssertEqual(Sha256.hex(Array(text.utf8)), try vector.text("sha256"), name)
            if vector.has("tiles") {
                let expected = try vector.list("tiles").map { try Case(fields: ["tile": $0]).integers("tile") }
                XCTAssertEqual(listed, expected, name)
            } else {
                XCTAssertEqual(listed.first, try vector.integers("first"), name)
                XCTAssertEqual(listed.last, try vector.integers("last"), name)
            }
        }
    }

    func testOwnership() throws {
        for vector in try GoldenVectors.cases("ownership") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            var owner = [Int](repeating: -1, count: height * width)
            let plan = try TilePlan(height: height, width: width, tiling: try vector.tiling())
            for (index, tile) in plan.tiles.enumerated() {
                for y in tile.rows {
                    for x in tile.columns { owner[y * width + x] = index }
                }
            }
            try vector.check("ownership of \(height)x\(width)", owner, bytesPerValue: 4)
        }
    }

    func testStitching() async throws {
        for vector in try GoldenVectors.cases("stitching") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            let tiling = try vector.tiling()
            let engine = CrossEngine(side: tiling.tilePx, reach: try vector.integer("reach"))
            let enhancer = PhotoEnhancer(
                tiling: tiling, thumbnailPx: try vector.integer("thumbnail_px"), engine: engine)
            let pixels = GoldenVectors.bytes(3 * height * width, seed: try vector.integer("seed"))
            let photo = MemoryPhoto(height, width, pixels)
            let condition = engine.analyze(try enhancer.thumbnail(of: photo))
            XCTAssertEqual(condition.flatMap { $0 }.map { Int($0) }, try vector.integers("condition"))
            let output = MemorySink()
            try await enhancer.enhance(photo, into: output)
            try vector.check("\(height)x\(width) by \(tiling)", output.bytes)
        }
    }

    func testTurnedPhotoIsReadUpright() async throws {
        for orientation in Orientation.allCases {
            let layout = PixelLayout(height: 5, width: 7, rowBytes: 36, order: .bgra)
            let pixels = GoldenVectors.bytes(layout.byteCount, seed: 3)
            try pixels.withUnsafeBytes { pixels in
                let photo = TurnedPhoto(pixels, layout, orientation)
                var band = [UInt8](repeating: 0, count: 3 * photo.width * photo.height)
                band.withUnsafeMutableBufferPointer { photo.read(rows: 0..<photo.height, into: $0) }
                for y in 0..<photo.height {
                    for x in 0..<photo.width {
                        let from = orientation.source(y: y, x: x, height: 5, width: 7)
                        let red = try XCTUnwrap(pixels[from.row * 36 + 4 * from.column + 2])
                        XCTAssertEqual(band[3 * (y * photo.width + x)], red)
                    }
                }
            }
        }
    }

    func testStrengthZeroGivesThePhotoBack() async throws {
        let pixels = GoldenVectors.bytes(3 * 50 * 40, seed: 9)
        let tiling = Tiling(tilePx: 32, haloPx: 4, alignPx: 4, border: .clamp)
        let enhancer = PhotoEnhancer(tiling: tiling, thumbnailPx: 8, engine: CrossEngine(side: 32, reach: 4))
        let output = MemorySink()
        try await enhancer.enhance(MemoryPhoto(50, 40, pixels), into: output, strength: try XCTUnwrap(Strength(0)))
        XCTAssertEqual(output.bytes, pixels)
    }

    func testCancellingStopsBetweenTiles() async throws {
        let tiling = Tiling(tilePx: 32, haloPx: 4, alignPx: 4, border: .clamp)
        let engine = CrossEngine(side: 32, reach: 4)
        let task = Task {
            let enhancer = PhotoEnhancer(tiling: tiling, thumbnailPx: 8, engine: engine)
            let photo = MemoryPhoto(200, 200, GoldenVectors.bytes(3 * 200 * 200, seed: 1))
            var tiles = 0
            do {
                try await enhancer.enhance(photo, into: MemorySink()) { _ in
                    tiles += 1
                    if tiles == 3 { withUnsafeCurrentTask { $0?.cancel() } }
                }
                return -1
            } catch is CancellationError {
                return tiles
            }
        }
        let tiles = try await task.value
        XCTAssertEqual(tiles, 3)
    }

    func testAnEngineThatGivesAnotherSizeIsRefused() async throws {
        let tiling = Tiling(tilePx: 32, haloPx: 4, alignPx: 4, border: .clamp)
        let enhancer = PhotoEnhancer(tiling: tiling, thumbnailPx: 8, engine: CrossEngine(side: 31, reach: 4))
        do {
            try await enhancer.enhance(MemoryPhoto(8, 8, GoldenVectors.bytes(192, seed: 0)), into: MemorySink())
            XCTFail("a wrong size passed")
        } catch {
            XCTAssertEqual(error as? EnhanceError, .wrongOutput(values: 3 * 31 * 31))
        }
    }
}

/// The engine that SPEC.md defines: whole grey levels, so results are exact; neighbours outside the tile count 0.
struct CrossEngine: TileEngine {
    let side: Int
    let reach: Int

    func analyze(_ thumbnail: [Float]) -> [[Float]] {
        let plane = thumbnail.count / 3
        let sums = (0..<3).map { channel in
            thumbnail[(channel * plane)..<((channel + 1) * plane)].reduce(0) { $0 + Int(level(of: $1)) }
        }
        return [sums.map { Float($0 % 256) }]
    }

    func enhance(_ tile: [Float], _ condition: [[Float]]) -> [Float] {
        let levels = tile.map { Int(level(of: $0)) }
        var output = [Float](repeating: 0, count: 3 * side * side)
        for channel in 0..<3 {
            func at(_ y: Int, _ x: Int) -> Int {
                let inside = (0..<side).contains(y) && (0..<side).contains(x)
                return inside ? levels[(channel * side + y) * side + x] : 0
            }
            for y in 0..<side {
                for x in 0..<side {
                    let cross = at(y - reach, x) + at(y + reach, x) + at(y, x - reach) + at(y, x + reach)
                    let total = 4 * at(y, x) + cross + Int(condition[0][channel])
                    output[(channel * side + y) * side + x] = Float(total % 256) / 255
                }
            }
        }
        return output
    }
}

struct MemoryPhoto: PhotoSource {
    let height: Int
    let width: Int
    let pixels: [UInt8]

    init(_ height: Int, _ width: Int, _ pixels: [UInt8]) {
        (self.height, self.width, self.pixels) = (height, width, pixels)
    }

    func read(rows: Range<Int>, into band: UnsafeMutableBufferPointer<UInt8>) {
        for (at, byte) in pixels[(3 * width * rows.lowerBound)..<(3 * width * rows.upperBound)].enumerated() {
            band[at] = byte
        }
    }
}

final class MemorySink: PhotoSink {
    private(set) var bytes: [UInt8] = []

    func write(rows: Range<Int>, _ band: UnsafeBufferPointer<UInt8>) {
        bytes.append(contentsOf: band)
    }
}
