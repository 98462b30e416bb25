/// A photo and its full effect, blended row by row: strength is chosen after the fact, when the result is written.
///
/// At strength 0 it is the photo bit by bit, at 1 the effect. Between, both are rounded levels already, so it may lie
/// one level beside what `PhotoEnhancer` gives at that strength.
public struct StrengthBlend<Before: PhotoSource, After: PhotoSource>: PhotoSource {
    private let before: Before
    private let after: After
    private let strength: Strength

    /// nil where the two differ in size.
    public init?(before: Before, after: After, strength: Strength) {
        guard before.height == after.height, before.width == after.width else { return nil }
        (self.before, self.after, self.strength) = (before, after, strength)
    }

    public var height: Int { before.height }
    public var width: Int { before.width }

    public func read(rows: Range<Int>, into band: UnsafeMutableBufferPointer<UInt8>) throws {
        let count = 3 * width * rows.count
        try before.read(rows: rows, into: band)
        var effect = [UInt8](repeating: 0, count: count)
        try effect.withUnsafeMutableBufferPointer { try after.read(rows: rows, into: $0) }
        for index in 0..<count {
            let blended = strength.blend(before: value(of: band[index]), enhanced: value(of: effect[index]))
            band[index] = level(of: blended)
        }
    }

    /// Writes the whole photo, in bands.
    public func write(into sink: some PhotoSink) throws {
        var band = [UInt8](repeating: 0, count: 3 * width * min(64, height))
        for top in stride(from: 0, to: height, by: 64) {
            let rows = top..<min(top + 64, height)
            try band.withUnsafeMutableBufferPointer { try read(rows: rows, into: $0) }
            try band.withUnsafeBufferPointer {
                try sink.write(rows: rows, UnsafeBufferPointer(rebasing: $0[..<(3 * width * rows.count)]))
            }
        }
    }
}
