import CoreGraphics
import Foundation
import ImageIO
import PocketApple
import PocketCore
import UniformTypeIdentifiers

/// Photos at the size of the screen, upright.
enum Preview {
    static let sidePx = 1280

    static func image(of file: URL) -> CGImage? {
        let options: [CFString: Any] = [
            kCGImageSourceCreateThumbnailFromImageAlways: true,
            kCGImageSourceCreateThumbnailWithTransform: true,
            kCGImageSourceThumbnailMaxPixelSize: sidePx,
        ]
        return CGImageSourceCreateWithURL(file as CFURL, nil).flatMap {
            CGImageSourceCreateThumbnailAtIndex($0, 0, options as CFDictionary)
        }
    }

    /// The photo made small first: its tone is that of the result, its detail is not.
    static func enhanced(_ file: URL, _ ready: ModelStore.Ready, strength: Strength) async throws -> CGImage? {
        guard let small = image(of: file) else { throw PhotoFailure.notAPhoto }
        let place = URL.temporaryDirectory.appending(path: "preview-\(UUID().uuidString).png")
        defer { try? FileManager.default.removeItem(at: place) }
        let kind = UTType.png.identifier as CFString
        guard let destination = CGImageDestinationCreateWithURL(place as CFURL, kind, 1, nil) else {
            throw PhotoFailure.notWritten
        }
        CGImageDestinationAddImage(destination, small, nil)
        guard CGImageDestinationFinalize(destination) else { throw PhotoFailure.notWritten }
        return try await PhotoJob(ready).run(place, strength: strength).enhanced.image
    }
}
