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

    /// Over the mapped pixels themselves, which live as long as the image does.
    public var image: CGImage? {
        guard let start = pixels.bytes.baseAddress, let space = CGColorSpace(name: CGColorSpace.sRGB) else {
            return nil
        }
        let held = Unmanaged.passRetained(pixels)
        let provider = CGDataProvider(dataInfo: held.toOpaque(), data: start, size: layout.byteCount) { info, _, _ in
            if let info { Unmanaged<MappedPixels>.fromOpaque(info).release() }
        }
        guard let provider else {
            held.release()
            return nil
        }
        return CGImage(
            width: layout.width, height: layout.height, bitsPerComponent: 8, bitsPerPixel: 32,
            bytesPerRow: layout.rowBytes, space: space,
            bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue), provider: provider, decode: nil,
            shouldInterpolate: true, intent: .defaultIntent)
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
            try? FileManager.default.removeItem(at: file)
            try FileManager.default.moveItem(at: part, to: file)
        } catch {
            throw PhotoFailure.notWritten
        }
    }
}
#endif
