/// A photo that is read in bands of rows: upright, sRGB, R G B bytes without padding.
public protocol PhotoSource {
    var height: Int { get }
    var width: Int { get }

    /// Rows of the photo, which must lie inside, into the beginning of `band`.
    func read(rows: Range<Int>, into band: UnsafeMutableBufferPointer<UInt8>) throws
}

/// Where an enhanced photo goes, from the top, band by band.
public protocol PhotoSink {
    func write(rows: Range<Int>, _ band: UnsafeBufferPointer<UInt8>) throws
}

/// Pixels as a decoder leaves them in memory (or in a mapped file), read as people see them.
public struct TurnedPhoto: PhotoSource {
    private let pixels: UnsafeRawBufferPointer
    private let layout: PixelLayout
    private let orientation: Orientation

    /// pixels: `layout.byteCount` bytes, which must outlive this.
    public init(_ pixels: UnsafeRawBufferPointer, _ layout: PixelLayout, _ orientation: Orientation) {
        (self.pixels, self.layout, self.orientation) = (pixels, layout, orientation)
    }

    public var height: Int { orientation.uprightSize(height: layout.height, width: layout.width).height }
    public var width: Int { orientation.uprightSize(height: layout.height, width: layout.width).width }

    public func read(rows: Range<Int>, into band: UnsafeMutableBufferPointer<UInt8>) {
        let (red, green, blue) = layout.order.offsets
        var into = 0
        for y in rows {
            for x in 0..<width {
                let from = orientation.source(y: y, x: x, height: layout.height, width: layout.width)
                let at = from.row * layout.rowBytes + 4 * from.column
                band[into] = pixels[at + red]
                band[into + 1] = pixels[at + green]
                band[into + 2] = pixels[at + blue]
                into += 3
            }
        }
    }
}

/// Enhanced rows into pixels of 4 bytes, alpha 255.
public struct PackedPhoto: PhotoSink {
    private let pixels: UnsafeMutableRawBufferPointer
    private let layout: PixelLayout

    /// pixels: `layout.byteCount` bytes, which must outlive this.
    public init(_ pixels: UnsafeMutableRawBufferPointer, _ layout: PixelLayout) {
        (self.pixels, self.layout) = (pixels, layout)
    }

    public func write(rows: Range<Int>, _ band: UnsafeBufferPointer<UInt8>) {
        let (red, green, blue) = layout.order.offsets
        var from = 0
        for y in rows {
            for x in 0..<layout.width {
                let at = y * layout.rowBytes + 4 * x
                pixels[at + red] = band[from]
                pixels[at + green] = band[from + 1]
                pixels[at + blue] = band[from + 2]
                pixels[at + 3] = 255
                from += 3
            }
        }
    }
}
