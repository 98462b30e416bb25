/// How a model may be cut into tiles: the manifest's `tiling`, in pixels.
public struct Tiling: Equatable, Sendable {
    public enum Border: String, CaseIterable, Sendable {
        /// Reads outside the photo repeat its edge.
        case clamp
        /// Border tiles move inside the photo, which must be at least one tile large.
        case shift
    }

    /// Side of a tile, halo included.
    public let tilePx: Int
    /// Pixels around a tile's useful part that are computed and thrown away.
    public let haloPx: Int
    /// Tile origins are multiples of it.
    public let alignPx: Int
    public let border: Border

    public init(tilePx: Int, haloPx: Int, alignPx: Int, border: Border) {
        (self.tilePx, self.haloPx, self.alignPx, self.border) = (tilePx, haloPx, alignPx, border)
    }
}

/// Why a photo cannot be cut into tiles; the words of SPEC.md.
public enum PlanError: String, Error, Sendable {
    case empty
    case misaligned
    case allHalo = "all_halo"
    case belowTile = "below_tile"
}

/// One tile: read rows from `top` and columns from `left`, keep `rows` and `columns`. All in pixels of the photo.
public struct Tile: Equatable, Sendable {
    public let top: Int
    public let left: Int
    public let rows: Range<Int>
    public let columns: Range<Int>
}

/// A photo cut into square tiles whose kept parts cover every pixel exactly once.
public struct TilePlan: Sendable {
    /// One step along an axis: where a tile begins, and the pixels that are kept from it.
    public struct Span: Equatable, Sendable {
        public let origin: Int
        public let kept: Range<Int>
    }

    public let tiling: Tiling
    public let rowSpans: [Span]
    public let columnSpans: [Span]

    public init(height: Int, width: Int, tiling: Tiling) throws {
        guard height >= 1, width >= 1 else { throw PlanError.empty }
        self.tiling = tiling
        columnSpans = try Self.spans(length: width, tiling)
        rowSpans = try Self.spans(length: height, tiling)
    }

    public var count: Int { rowSpans.count * columnSpans.count }

    /// Row by row.
    public var tiles: [Tile] {
        rowSpans.flatMap { row in
            columnSpans.map { Tile(top: row.origin, left: $0.origin, rows: row.kept, columns: $0.kept) }
        }
    }

    private static func spans(length: Int, _ tiling: Tiling) throws -> [Span] {
        let (size, halo, align) = (tiling.tilePx, tiling.haloPx, tiling.alignPx)
        guard align >= 1, size % align == 0, halo % align == 0 else { throw PlanError.misaligned }
        let step = (size - 2 * halo) / align * align
        guard step > 0 else { throw PlanError.allHalo }
        if tiling.border == .clamp {
            return stride(from: 0, to: length, by: step).map { at in
                Span(origin: at - halo, kept: at..<min(at + step, length))
            }
        }
        guard length >= size else { throw PlanError.belowTile }
        var spans: [Span] = []
        var kept = 0
        while kept < length {
            let origin = min(max(kept - halo, 0), length - size)
            let end = origin + size == length ? length : origin + size - halo
            spans.append(Span(origin: origin, kept: kept..<end))
            kept = end
        }
        return spans
    }
}
