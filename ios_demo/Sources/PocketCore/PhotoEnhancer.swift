/// Runs the two entry points of a model. Images are [1, 3, side, side] float32 in [0, 1], R G B.
public protocol TileEngine: Sendable {
    /// Once per photo -> the condition, one list of values for each of its tensors, in the manifest's order and layout.
    func analyze(_ thumbnail: [Float]) async throws -> [[Float]]

    func enhance(_ tile: [Float], _ condition: [[Float]]) async throws -> [Float]
}

public enum EnhanceError: Error, Equatable, Sendable {
    /// The engine gave another number of values than a tile has.
    case wrongOutput(values: Int)
}

/// Analyze once, enhance tile by tile, stitch: a photo of any size in the memory of one row of tiles.
///
/// Stops between tiles when its task is cancelled (`CancellationError`); what the sink has by then is worthless.
public struct PhotoEnhancer: Sendable {
    public static let stripRows = 64

    public let tiling: Tiling
    public let thumbnailPx: Int
    public let engine: any TileEngine

    public init(tiling: Tiling, thumbnailPx: Int, engine: any TileEngine) {
        (self.tiling, self.thumbnailPx, self.engine) = (tiling, thumbnailPx, engine)
    }

    /// What `analyze` sees of a photo: [1, 3, thumbnailPx, thumbnailPx].
    public func thumbnail(of photo: some PhotoSource) throws -> [Float] {
        var sums = ThumbnailSums(height: photo.height, width: photo.width, rows: thumbnailPx, columns: thumbnailPx)
        var strip = [UInt8](repeating: 0, count: 3 * photo.width * min(Self.stripRows, photo.height))
        for top in stride(from: 0, to: photo.height, by: Self.stripRows) {
            try Task.checkCancellation()
            let rows = top..<min(top + Self.stripRows, photo.height)
            try strip.withUnsafeMutableBufferPointer { strip in
                try photo.read(rows: rows, into: strip)
                sums.add(UnsafeBufferPointer(rebasing: strip[..<(3 * photo.width * rows.count)]))
            }
        }
        let levels = sums.thumbnail ?? []
        return (0..<3).flatMap { channel in
            stride(from: channel, to: levels.count, by: 3).map { value(of: levels[$0]) }
        }
    }

    /// progress: called after every tile with the share that is done, in (0, 1].
    public func enhance<Source: PhotoSource, Sink: PhotoSink>(
        _ photo: Source, into sink: Sink, strength: Strength = .full,
        progress: (Double) async -> Void = { _ in }
    ) async throws {
        let plan = try TilePlan(height: photo.height, width: photo.width, tiling: tiling)
        let condition = try await engine.analyze(try thumbnail(of: photo))
        var band = Band(photo: photo, side: tiling.tilePx)
        var done = 0
        for row in plan.rowSpans {
            try band.move(to: row.origin)
            var output = [UInt8](repeating: 0, count: 3 * photo.width * row.kept.count)
            for column in plan.columnSpans {
                try Task.checkCancellation()
                let tile = band.tile(left: column.origin)
                let enhanced = try await engine.enhance(tile, condition)
                guard enhanced.count == tile.count else { throw EnhanceError.wrongOutput(values: enhanced.count) }
                stitch(enhanced, before: tile, row, column, width: photo.width, strength, into: &output)
                done += 1
                await progress(Double(done) / Double(plan.count))
            }
            try output.withUnsafeBufferPointer { try sink.write(rows: row.kept, $0) }
        }
    }

    /// The kept part of a tile, clamped, blended and rounded, into the rows that `row` keeps.
    private func stitch(
        _ enhanced: [Float], before: [Float], _ row: TilePlan.Span, _ column: TilePlan.Span, width: Int,
        _ strength: Strength, into output: inout [UInt8]
    ) {
        let side = tiling.tilePx
        for channel in 0..<3 {
            for y in row.kept {
                let from = (channel * side + y - row.origin) * side - column.origin
                let to = 3 * (y - row.kept.lowerBound) * width + channel
                for x in column.kept {
                    let clamped = min(max(enhanced[from + x], 0), 1)
                    output[to + 3 * x] = level(of: strength.blend(before: before[from + x], enhanced: clamped))
                }
            }
        }
    }
}

/// The rows that one row of tiles reads, the photo's edge repeated outside of it.
private struct Band<Source: PhotoSource> {
    let photo: Source
    let side: Int
    private var pixels: [UInt8]
    private var rows = 0..<0
    private var top = 0

    init(photo: Source, side: Int) {
        (self.photo, self.side) = (photo, side)
        pixels = [UInt8](repeating: 0, count: 3 * photo.width * min(side, photo.height))
    }

    mutating func move(to top: Int) throws {
        let (photo, inside) = (photo, max(top, 0)..<min(top + side, photo.height))
        try pixels.withUnsafeMutableBufferPointer { try photo.read(rows: inside, into: $0) }
        (self.top, rows) = (top, inside)
    }

    /// [1, 3, side, side] in [0, 1].
    func tile(left: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: 3 * side * side) { tile, count in
            for y in 0..<side {
                let row = min(max(top + y, rows.lowerBound), rows.upperBound - 1) - rows.lowerBound
                for x in 0..<side {
                    let at = 3 * (row * photo.width + min(max(left + x, 0), photo.width - 1))
                    for channel in 0..<3 {
                        tile[(channel * side + y) * side + x] = value(of: pixels[at + channel])
                    }
                }
            }
            count = 3 * side * side
        }
    }
}
