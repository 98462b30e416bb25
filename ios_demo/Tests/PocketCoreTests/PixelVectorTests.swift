import Foundation
import PocketCore
import XCTest

/// Pixels: thumbnail, orientation, rounding, strength, packing, metrics.
final class PixelVectorTests: XCTestCase {
    func testGenerator() throws {
        for vector in try GoldenVectors.cases("pixels") {
            let bytes = GoldenVectors.bytes(try vector.integer("count"), seed: try vector.integer("seed"))
            try vector.check("pixels", bytes)
        }
    }

    func testSha256() throws {
        for vector in try GoldenVectors.cases("sha256") {
            let bytes = GoldenVectors.bytes(try vector.integer("count"), seed: try vector.integer("seed"))
            XCTAssertEqual(Sha256.hex(bytes), try vector.text("sha256"))
            var parts = Sha256()
            for start in stride(from: 0, to: bytes.count, by: 37) {
                parts.update(Array(bytes[start..<min(start + 37, bytes.count)]))
            }
            XCTAssertEqual(parts.hexDigest(), try vector.text("sha256"), "in parts")
        }
    }

    func testThumbnails() throws {
        for vector in try GoldenVectors.cases("thumbnails") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            var sums = ThumbnailSums(
                height: height, width: width, rows: try vector.integer("rows"), columns: try vector.integer("columns"))
            if vector.has("white") {
                let row = [UInt8](repeating: 255, count: 3 * width)
                for _ in 0..<height { row.withUnsafeBufferPointer { sums.add($0) } }
            } else {
                let pixels = GoldenVectors.bytes(3 * height * width, seed: try vector.integer("seed"))
                XCTAssertNil(sums.thumbnail, "before the last row")
                pixels.withUnsafeBufferPointer { sums.add($0) }
            }
            try vector.check("thumbnail of \(height)x\(width)", try XCTUnwrap(sums.thumbnail))
        }
    }

    func testOrientation() throws {
        for vector in try GoldenVectors.cases("orientation") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            let orientation = Orientation(exif: try vector.integer("orientation"))
            let upright = orientation.uprightSize(height: height, width: width)
            XCTAssertEqual(upright.height, try vector.integer("upright_height"))
            XCTAssertEqual(upright.width, try vector.integer("upright_width"))
            let numbers = (0..<upright.height).flatMap { y in
                (0..<upright.width).map { x -> Int in
                    let from = orientation.source(y: y, x: x, height: height, width: width)
                    return from.row * width + from.column
                }
            }
            try vector.check("orientation \(orientation)", numbers, bytesPerValue: 4)
        }
        XCTAssertEqual(Orientation(exif: 0), .upright)
        XCTAssertEqual(Orientation(exif: 9), .upright)
    }

    func testRounding() throws {
        for vector in try GoldenVectors.cases("rounding") {
            let name = try vector.text("float32")
            XCTAssertEqual(Int(level(of: try vector.float("float32"))), try vector.integer("uint8"), name)
        }
        for every in UInt8.min...UInt8.max {
            XCTAssertEqual(level(of: value(of: every)), every)
        }
    }

    func testBlending() throws {
        for vector in try GoldenVectors.cases("blending") {
            let strength = try XCTUnwrap(Strength(try vector.float("strength")))
            let before = value(of: UInt8(try vector.integer("before")))
            let blended = strength.blend(before: before, enhanced: try vector.float("enhanced"))
            XCTAssertEqual(blended.bitPattern, try vector.float("blended").bitPattern)
            XCTAssertEqual(Int(level(of: blended)), try vector.integer("uint8"))
        }
        for wrong: Float in [-0.01, 1.01, .nan, .infinity] {
            XCTAssertNil(Strength(wrong))
        }
    }

    func testPreview() throws {
        func transform(_ json: [Json]) throws -> ColourTransform {
            try XCTUnwrap(ColourTransform(numbers: json.map(GoldenVectors.float)))
        }
        for vector in try GoldenVectors.cases("preview") {
            let smoothed = try transform(vector.list("shown"))
                .towards(transform(vector.list("seen")), elapsed: vector.number("elapsed_s"))
            for (made, wanted) in zip(smoothed.numbers, try transform(vector.list("smoothed")).numbers) {
                XCTAssertEqual(made, wanted, accuracy: 2e-5)
            }
            for (pixel, wanted) in zip(try vector.list("pixels"), try vector.list("preview")) {
                guard case .list(let pixel) = pixel, case .list(let wanted) = wanted else { return XCTFail("no pixel") }
                let made = smoothed.preview(SIMD3(try pixel.map(GoldenVectors.float)))
                for (colour, value) in try wanted.map(GoldenVectors.float).enumerated() {
                    XCTAssertEqual(made[colour], value, accuracy: 2e-5)
                }
            }
        }
        let blocks = ColourTransform(matrix: (0..<72).map(Float.init), offset: [1, 2, 3, 4, 5, 6])
        let wanted: [Float] = [0, 1, 2, 6, 7, 8, 12, 13, 14, 36, 37, 38, 42, 43, 44, 48, 49, 50, 1, 2, 3]
        XCTAssertEqual(blocks?.numbers, wanted)
        XCTAssertNil(ColourTransform(matrix: [], offset: [1]))
        XCTAssertNil(ColourTransform(numbers: []))
    }

    func testPacking() throws {
        for vector in try GoldenVectors.cases("packing") {
            let order = try XCTUnwrap(PixelLayout.Order(rawValue: try vector.text("order")))
            let layout = PixelLayout(
                height: try vector.integer("height"), width: try vector.integer("width"),
                rowBytes: try vector.integer("row_bytes"), order: order)
            let pixels = GoldenVectors.bytes(layout.byteCount, seed: try vector.integer("seed"))
            let planes = pixels.withUnsafeBytes { layout.planes(from: $0) }
            let interleaved = pixels.withUnsafeBytes { layout.interleaved(from: $0) }
            XCTAssertEqual(sha256(planes), try vector.text("nchw_sha256"))
            XCTAssertEqual(sha256(interleaved), try vector.text("nhwc_sha256"))
            let first = try vector.list("first").map { json -> String in
                guard case .text(let bits) = json else { throw VectorError.noField("first") }
                return bits
            }
            XCTAssertEqual(planes.prefix(3).map { String(format: "%08x", $0.bitPattern) }, first)
            var packed = [UInt8](repeating: 170, count: layout.byteCount)
            packed.withUnsafeMutableBytes { layout.pack(planes.map { $0 * 0.75 }, into: $0) }
            try Case(fields: try vector.object("packed")).check("packed \(order)", packed)
        }
    }

    func testMetrics() throws {
        for vector in try GoldenVectors.cases("metrics") {
            let (height, width) = (try vector.integer("height"), try vector.integer("width"))
            let (seed, amplitude) = (try vector.integer("seed"), try vector.integer("amplitude"))
            let before = GoldenVectors.bytes(3 * height * width, seed: seed)
            let noise = GoldenVectors.bytes(3 * height * width, seed: seed + 100)
            let after = zip(before, noise).map { level, noise in
                UInt8(min(max(Int(level) + Int(noise) % (2 * amplitude + 1) - amplitude, 0), 255))
            }
            let layout = PixelLayout(height: height, width: width, rowBytes: 4 * width, order: .rgba)
            let comparison = try XCTUnwrap(
                Comparison(
                    planes(after, layout), reference: planes(before, layout), height: height, width: width))
            XCTAssertEqual(comparison.psnrDb, try vector.number("psnr_db"), accuracy: 1e-5 * 120)
            XCTAssertEqual(comparison.ssim, try vector.number("ssim"), accuracy: 1e-5)
            XCTAssertEqual(comparison.deltaE2000, try vector.number("delta_e_2000"), accuracy: 1e-5 * 10)
            for (shift, expected) in zip(comparison.colourShift, try vector.list("colour_shift")) {
                guard case .number(let expected) = expected else { throw VectorError.noField("colour_shift") }
                XCTAssertEqual(shift, expected, accuracy: 1e-6)
            }
        }
        XCTAssertNil(Comparison([1], reference: [1], height: 1, width: 1))
    }

    private func planes(_ rgb: [UInt8], _ layout: PixelLayout) -> [Float] {
        let rgba = stride(from: 0, to: rgb.count, by: 3).flatMap { rgb[$0..<($0 + 3)] + [0] }
        return rgba.withUnsafeBytes { layout.planes(from: $0) }
    }

    private func sha256(_ values: [Float]) -> String {
        Sha256.hex(values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
    }
}
