#if canImport(CoreML)
import CoreVideo
import Foundation
import PocketCore

/// Pixel buffers of one size that are used again and again, for models whose images have 8 bits.
final class PixelBuffers {
    enum Failure: Error, Equatable { case noBuffer(CVReturn) }

    private let pool: CVPixelBufferPool
    private let height: Int
    private let width: Int

    init(height: Int, width: Int) throws {
        (self.height, self.width) = (height, width)
        let attributes: [CFString: Any] = [
            kCVPixelBufferPixelFormatTypeKey: kCVPixelFormatType_32BGRA,
            kCVPixelBufferHeightKey: height,
            kCVPixelBufferWidthKey: width,
            kCVPixelBufferIOSurfacePropertiesKey: [CFString: Any](),  // shared with GPU and Neural Engine uncopied
        ]
        var made: CVPixelBufferPool?
        let status = CVPixelBufferPoolCreate(nil, nil, attributes as CFDictionary, &made)
        guard let made else { throw Failure.noBuffer(status) }
        pool = made
    }

    /// A buffer that holds [1, 3, height, width] in [0, 1].
    func buffer(of planes: [Float]) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        let status = CVPixelBufferPoolCreatePixelBuffer(nil, pool, &made)
        guard let made else { throw Failure.noBuffer(status) }
        try Self.withPixels(of: made, flags: []) { pixels, layout in layout.pack(planes, into: pixels) }
        return made
    }

    /// [1, 3, height, width] in [0, 1] of an image that a model made.
    func planes(of buffer: CVPixelBuffer) throws -> [Float] {
        try Self.withPixels(of: buffer, flags: .readOnly) { pixels, layout in
            layout.planes(from: UnsafeRawBufferPointer(pixels))
        }
    }

    private static func withPixels<Result>(
        of buffer: CVPixelBuffer, flags: CVPixelBufferLockFlags,
        _ body: (UnsafeMutableRawBufferPointer, PixelLayout) -> Result
    ) throws -> Result {
        let status = CVPixelBufferLockBaseAddress(buffer, flags)
        guard status == kCVReturnSuccess else { throw Failure.noBuffer(status) }
        defer { CVPixelBufferUnlockBaseAddress(buffer, flags) }
        guard let start = CVPixelBufferGetBaseAddress(buffer),
            CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA
        else { throw Failure.noBuffer(kCVReturnInvalidPixelFormat) }
        let layout = PixelLayout(
            height: CVPixelBufferGetHeight(buffer), width: CVPixelBufferGetWidth(buffer),
            rowBytes: CVPixelBufferGetBytesPerRow(buffer), order: .bgra)
        return body(UnsafeMutableRawBufferPointer(start: start, count: layout.byteCount), layout)
    }
}
#endif
