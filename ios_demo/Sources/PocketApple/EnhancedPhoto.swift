#if canImport(CoreML)
import CoreGraphics
import Foundation
import ImageIO
import PocketCore
import UniformTypeIdentifiers

/// The photo that comes out: pixels in a mapped file, upright, sRGB.
public struct EnhancedPhoto: Sendable {
    public let pixels: MappedPixels
    public let layout: PixelLayout

    init(height: Int, width: Int) throws {
        layout = PixelLayout(height: height, width: width, rowBytes: 4 * width, order: .rgba)
        do {
            pixels = try MappedPixels(byteCount: layout.byteCount, in: .temporaryDirectory)
        } catch MappedPixels.Failure.noSpace {
            throw PhotoFailure.noSpace
        }
    }

    var sink: PackedPhoto { PackedPhoto(pixels.bytes, layout) }

    /// For the screen; shares the mapped pixels.
    public var image: CGImage? {
        DecodedPhoto.bitmap(over: pixels, layout)?.makeImage()
    }

    /// Writes a JPEG with the metadata of the photo it was made from. Whole or not at all.
    ///
    /// Raises `PhotoFailure.notWritten`.
    public func write(to file: URL, from decoded: DecodedPhoto, removingPlace: Bool, quality: Double = 0.92) throws {
        let part = file.deletingLastPathComponent().appending(path: ".\(UUID().uuidString).part")
        defer { try? FileManager.default.removeItem(at: part) }
        guard let image,
            let destination = CGImageDestinationCreateWithURL(part as CFURL, UTType.jpeg.identifier as CFString, 1, nil)
        else { throw PhotoFailure.notWritten }
        var properties = PhotoMetadata.properties(from: decoded.properties, removingPlace: removingPlace)
        properties[kCGImageDestinationLossyCompressionQuality] = quality
        CGImageDestinationAddImage(destination, image, properties as CFDictionary)
        guard CGImageDestinationFinalize(destination) else { throw PhotoFailure.notWritten }
        do {
            _ = try FileManager.default.replaceItemAt(file, withItemAt: part)
        } catch {
            throw PhotoFailure.notWritten
        }
    }
}
#endif
