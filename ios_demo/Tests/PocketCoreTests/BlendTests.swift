import Foundation
import PocketCore
import XCTest

/// Strength after the fact, and which fields of metadata tell a place.
final class BlendTests: XCTestCase {
    private let before = GoldenVectors.bytes(3 * 150 * 7, seed: 1)
    private let after = GoldenVectors.bytes(3 * 150 * 7, seed: 2)

    private func blended(_ strength: Float) throws -> [UInt8] {
        let blend = try XCTUnwrap(
            StrengthBlend(
                before: MemoryPhoto(150, 7, before), after: MemoryPhoto(150, 7, after),
                strength: try XCTUnwrap(Strength(strength))))
        let output = MemorySink()
        try blend.write(into: output)
        return output.bytes
    }

    func testTheEndsAreThePhotoAndTheEffect() throws {
        XCTAssertEqual(try blended(0), before)
        XCTAssertEqual(try blended(1), after)
    }

    func testBetweenLiesTheRoundedMean() throws {
        let half = try blended(0.5)
        for index in before.indices {
            let mean = (Double(before[index]) + Double(after[index])) / 2
            XCTAssertLessThanOrEqual(abs(Double(half[index]) - mean), 0.5)
        }
    }

    func testSizesMustAgree() {
        XCTAssertNil(StrengthBlend(before: MemoryPhoto(1, 2, []), after: MemoryPhoto(2, 1, []), strength: .full))
    }

    func testPackedPixelsAreReadAsTheyWereWritten() throws {
        let layout = PixelLayout(height: 150, width: 7, rowBytes: 32, order: .rgba)
        var pixels = [UInt8](repeating: 0, count: layout.byteCount)
        try pixels.withUnsafeMutableBytes { pixels in
            let sink = PackedPhoto(pixels, layout)
            let source = TurnedPhoto(UnsafeRawBufferPointer(pixels), layout, .upright)
            let blend = StrengthBlend(
                before: MemoryPhoto(150, 7, before), after: MemoryPhoto(150, 7, after), strength: .full)
            try XCTUnwrap(blend).write(into: sink)
            var band = [UInt8](repeating: 0, count: after.count)
            band.withUnsafeMutableBufferPointer { source.read(rows: 0..<150, into: $0) }
            XCTAssertEqual(band, after)
        }
    }

    func testPlaceFieldsOfExifIptcAndXmp() {
        let places = [
            "exif:GPSLatitude", "exif:GPSLongitudeRef", "exif:GPSDestBearing", "exifEX:GPSAreaInformation",
            "photoshop:City", "photoshop:State", "photoshop:Country", "Iptc4xmpCore:Location",
            "Iptc4xmpCore:CountryCode", "Iptc4xmpExt:LocationCreated", "Iptc4xmpExt:LocationShown[1].City",
        ]
        for path in places { XCTAssertTrue(PlaceFields.contain(path: path), path) }
        let others = [
            "exif:DateTimeOriginal", "exif:ExposureTime", "tiff:Model", "dc:creator", "photoshop:Headline",
            "Iptc4xmpExt:PersonInImage", "City", "",
        ]
        for path in others { XCTAssertFalse(PlaceFields.contain(path: path), path) }
    }

    func testTheGpuIsLeftOut() {
        XCTAssertEqual(ComputeUnits.all.withoutGpu, .cpuAndNeuralEngine)
        XCTAssertEqual(ComputeUnits.cpuAndGpu.withoutGpu, .cpuOnly)
    }
}
