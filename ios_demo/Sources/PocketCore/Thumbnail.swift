/// The thumbnail of a photo that comes row by row: each pixel box-averaged by integer weights, aspect ratio ignored.
///
/// It sets the tone of the whole photo, so it is defined bit by bit (SPEC.md). In units of 1/rows and 1/columns of a
/// pixel all shares are integers, and those of one cell add up to height * width.
public struct ThumbnailSums {
    public let height: Int
    public let width: Int
    public let rows: Int
    public let columns: Int
    private var sums: [UInt64]
    private var seen = 0

    /// height, width: of the photo, in pixels. rows, columns: of the thumbnail.
    public init(height: Int, width: Int, rows: Int, columns: Int) {
        (self.height, self.width, self.rows, self.columns) = (height, width, rows, columns)
        sums = [UInt64](repeating: 0, count: rows * columns * 3)
    }

    /// The next rows of the photo: R G B bytes, without padding. What is not a whole row, or too much, is not taken.
    public mutating func add(_ pixels: UnsafeBufferPointer<UInt8>) {
        var at = 0
        while at + 3 * width <= pixels.count, seen < height {
            addRow(UnsafeBufferPointer(rebasing: pixels[at..<(at + 3 * width)]))
            at += 3 * width
        }
    }

    /// [rows, columns, 3], or nil before the last row of the photo.
    public var thumbnail: [UInt8]? {
        guard seen == height else { return nil }
        let weight = UInt64(height) * UInt64(width)
        return sums.map { UInt8(($0 + weight / 2) / weight) }
    }

    private mutating func addRow(_ row: UnsafeBufferPointer<UInt8>) {
        let narrowed = narrow(row)
        // The row covers [seen * rows, (seen + 1) * rows), a cell [cell * height, (cell + 1) * height).
        var cell = seen * rows / height
        while cell < rows, cell * height < (seen + 1) * rows {
            let from = max(cell * height, seen * rows)
            let to = min((cell + 1) * height, (seen + 1) * rows)
            let share = UInt64(to - from)
            let start = cell * columns * 3
            for index in 0..<(columns * 3) {
                sums[start + index] += share * narrowed[index]
            }
            cell += 1
        }
        seen += 1
    }

    /// One row as `columns` sums of its pixels, each weighted by the part of it that a cell covers.
    private func narrow(_ row: UnsafeBufferPointer<UInt8>) -> [UInt64] {
        var narrowed = [UInt64](repeating: 0, count: columns * 3)
        narrowed.withUnsafeMutableBufferPointer { narrowed in
            var cell = 0
            for x in 0..<width {
                var from = x * columns
                let end = from + columns
                while from < end {
                    let to = min(end, (cell + 1) * width)
                    let share = UInt64(to - from)
                    for channel in 0..<3 {
                        narrowed[3 * cell + channel] += share * UInt64(row[3 * x + channel])
                    }
                    from = to
                    if to == (cell + 1) * width { cell += 1 }
                }
            }
        }
        return narrowed
    }
}
