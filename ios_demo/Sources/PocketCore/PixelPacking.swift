/// Pixels of 4 bytes in rows with padding, as cameras and screens have them.
public struct PixelLayout: Equatable, Sendable {
    public enum Order: String, CaseIterable, Sendable {
        case rgba = "RGBA"
        case bgra = "BGRA"

        /// Where R, G and B lie in a pixel.
        var offsets: (Int, Int, Int) { self == .rgba ? (0, 1, 2) : (2, 1, 0) }
    }

    public let height: Int
    public let width: Int
    /// At least 4 * width.
    public let rowBytes: Int
    public let order: Order

    public init(height: Int, width: Int, rowBytes: Int, order: Order) {
        (self.height, self.width, self.rowBytes, self.order) = (height, width, rowBytes, order)
    }

    public var byteCount: Int { height * rowBytes }

    /// -> [1, 3, height, width], channels R G B, level / 255; alpha is ignored.
    public func planes(from pixels: UnsafeRawBufferPointer) -> [Float] {
        [Float](unsafeUninitializedCapacity: 3 * height * width) { planes, count in
            let (red, green, blue) = order.offsets
            let plane = height * width
            for y in 0..<height {
                for x in 0..<width {
                    let at = y * rowBytes + 4 * x
                    planes[y * width + x] = value(of: pixels[at + red])
                    planes[plane + y * width + x] = value(of: pixels[at + green])
                    planes[2 * plane + y * width + x] = value(of: pixels[at + blue])
                }
            }
            count = 3 * plane
        }
    }

    /// -> [1, height, width, 3].
    public func interleaved(from pixels: UnsafeRawBufferPointer) -> [Float] {
        let (red, green, blue) = order.offsets
        return (0..<height).flatMap { y in
            (0..<width).flatMap { x -> [Float] in
                let at = y * rowBytes + 4 * x
                return [value(of: pixels[at + red]), value(of: pixels[at + green]), value(of: pixels[at + blue])]
            }
        }
    }

    /// Writes [1, 3, height, width] with alpha 255; padding stays as it is.
    public func pack(_ planes: [Float], into pixels: UnsafeMutableRawBufferPointer) {
        let (red, green, blue) = order.offsets
        let plane = height * width
        for y in 0..<height {
            for x in 0..<width {
                let at = y * rowBytes + 4 * x
                pixels[at + red] = level(of: planes[y * width + x])
                pixels[at + green] = level(of: planes[plane + y * width + x])
                pixels[at + blue] = level(of: planes[2 * plane + y * width + x])
                pixels[at + 3] = 255
            }
        }
    }
}
