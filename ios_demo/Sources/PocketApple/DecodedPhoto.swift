#if canImport(CoreML)
import CoreGraphics
import Foundation
import ImageIO
import PocketCore

/// Why a photo cannot be enhanced, with what to do about it.
public enum PhotoFailure: Error, Equatable, Sendable {
    case notAPhoto
    case tooLarge(megapixels: Int)
    case noMemory(neededMb: Int)
    case noSpace
    case notWritten
    case notAllowed

    public var sentence: String {
        switch self {
        case .notAPhoto: "This file is not a photo that iOS can read. Choose another one."
        case .tooLarge(let megapixels): "This photo has \(megapixels) megapixels, above 200. Make it smaller first."
        case .noMemory(let neededMb): "\(neededMb) MB of memory are not free. Close other apps and try again."
        case .noSpace: "There is too little free storage for a photo of this size. Free some and try again."
        case .notWritten: "The photo could not be written. Check the free storage and try again."
        case .notAllowed: "The app may not add photos. Allow it in Settings, Privacy, Photos."
        }
    }
}

/// A photo as its decoder leaves it: sRGB, 8 bits, not turned yet, in a mapped file; and what else its file says.
///
/// Drawn into a bitmap over the mapping, ImageIO decodes strip by strip into pages that do not count as the app's
/// memory. Drawing converts P3 and every other colour space to sRGB; an HDR gain map is not applied.
public struct DecodedPhoto: Sendable {
    static let pixelsMost = 200_000_000
    static let memoryAtLeastMb = 150  // of one row of tiles, the model and the decoder's own strips

    public let pixels: MappedPixels
    public let layout: PixelLayout
    public let orientation: Orientation
    /// EXIF, GPS and so on, as ImageIO gives them.
    public let properties: Data?
    /// What was dropped or assumed, in sentences.
    public let notes: [String]

    public var source: TurnedPhoto {
        TurnedPhoto(UnsafeRawBufferPointer(pixels.bytes), layout, orientation)
    }

    /// Raises `PhotoFailure`.
    public init(_ file: URL) throws {
        let options = [kCGImageSourceShouldCache: false] as CFDictionary
        guard let source = CGImageSourceCreateWithURL(file as CFURL, options),
            let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, options) as? [CFString: Any],
            let width = properties[kCGImagePropertyPixelWidth] as? Int,
            let height = properties[kCGImagePropertyPixelHeight] as? Int, width > 0, height > 0
        else { throw PhotoFailure.notAPhoto }
        guard height <= Self.pixelsMost / width else {
            throw PhotoFailure.tooLarge(megapixels: width / 1000 * height / 1000)
        }
        guard DeviceState.availableMemoryMb ?? .infinity >= Double(Self.memoryAtLeastMb) else {
            throw PhotoFailure.noMemory(neededMb: Self.memoryAtLeastMb)
        }
        layout = PixelLayout(height: height, width: width, rowBytes: 4 * width, order: .rgba)
        orientation = Orientation(exif: properties[kCGImagePropertyOrientation] as? Int ?? 1)
        do {
            pixels = try MappedPixels(byteCount: layout.byteCount, in: .temporaryDirectory)
        } catch MappedPixels.Failure.noSpace {
            throw PhotoFailure.noSpace
        }
        guard let image = CGImageSourceCreateImageAtIndex(source, 0, options),
            let bitmap = Self.bitmap(over: pixels, layout)
        else { throw PhotoFailure.notAPhoto }
        var notes: [String] = []
        if Self.isTranslucent(image) {
            notes.append("Transparent parts are shown on white.")
            bitmap.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
            bitmap.fill(CGRect(x: 0, y: 0, width: width, height: height))
        }
        bitmap.interpolationQuality = .none
        bitmap.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
        if Self.hasGainMap(source) {
            notes.append("The HDR gain map is dropped: the result has standard range.")
        }
        self.notes = notes
        self.properties = PhotoMetadata.encoded(properties)
    }

    /// sRGB, so that CoreGraphics converts what is drawn.
    static func bitmap(over pixels: MappedPixels, _ layout: PixelLayout) -> CGContext? {
        guard let space = CGColorSpace(name: CGColorSpace.sRGB) else { return nil }
        return CGContext(
            data: pixels.bytes.baseAddress, width: layout.width, height: layout.height, bitsPerComponent: 8,
            bytesPerRow: layout.rowBytes, space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    }

    private static func hasGainMap(_ source: CGImageSource) -> Bool {
        var kinds = [kCGImageAuxiliaryDataTypeHDRGainMap]
        if #available(iOS 18.0, macOS 15.0, *) { kinds.append(kCGImageAuxiliaryDataTypeISOGainMap) }
        return kinds.contains { CGImageSourceCopyAuxiliaryDataInfoAtIndex(source, 0, $0) != nil }
    }

    private static func isTranslucent(_ image: CGImage) -> Bool {
        ![.none, .noneSkipFirst, .noneSkipLast].contains(image.alphaInfo)
    }
}

/// What a file says beside its pixels.
enum PhotoMetadata {
    static func encoded(_ properties: [CFString: Any]) -> Data? {
        try? PropertyListSerialization.data(fromPropertyList: properties as NSDictionary, format: .binary, options: 0)
    }

    /// For the enhanced file: upright, sRGB, of its own size; without place if that is wanted.
    static func properties(from encoded: Data?, removingPlace: Bool) -> [CFString: Any] {
        let read = encoded.flatMap { try? PropertyListSerialization.propertyList(from: $0, format: nil) }
        var properties = read as? [CFString: Any] ?? [:]
        let describesTheOldPixels = [
            kCGImagePropertyPixelWidth, kCGImagePropertyPixelHeight, kCGImagePropertyDepth, kCGImagePropertyProfileName,
            kCGImagePropertyColorModel, kCGImagePropertyHasAlpha, kCGImagePropertyMakerAppleDictionary,
        ]
        for key in describesTheOldPixels { properties[key] = nil }
        properties[kCGImagePropertyOrientation] = 1
        if var tiff = properties[kCGImagePropertyTIFFDictionary] as? [CFString: Any] {
            tiff[kCGImagePropertyTIFFOrientation] = 1
            properties[kCGImagePropertyTIFFDictionary] = tiff
        }
        if removingPlace { properties[kCGImagePropertyGPSDictionary] = nil }
        return properties
    }
}
#endif
