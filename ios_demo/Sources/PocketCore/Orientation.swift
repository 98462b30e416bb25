/// How to turn what a file holds into what people see: EXIF tag 274 (CIPA DC-008).
public enum Orientation: Int, CaseIterable, Sendable {
    case upright = 1
    case mirrored
    case halfTurn
    case flipped
    case transposed
    case quarterTurnRight
    case transverse
    case quarterTurnLeft

    /// Values that the standard does not know count as 1.
    public init(exif: Int) {
        self = Orientation(rawValue: exif) ?? .upright
    }

    public var swapsSides: Bool { rawValue >= 5 }

    /// height, width: of the file's pixels. Returns those of the upright photo.
    public func uprightSize(height: Int, width: Int) -> (height: Int, width: Int) {
        swapsSides ? (width, height) : (height, width)
    }

    /// Where upright pixel (y, x) lies in a file of height x width pixels.
    public func source(y: Int, x: Int, height: Int, width: Int) -> (row: Int, column: Int) {
        switch self {
        case .upright: (y, x)
        case .mirrored: (y, width - 1 - x)
        case .halfTurn: (height - 1 - y, width - 1 - x)
        case .flipped: (height - 1 - y, x)
        case .transposed: (x, y)
        case .quarterTurnRight: (height - 1 - x, y)
        case .transverse: (height - 1 - x, width - 1 - y)
        case .quarterTurnLeft: (x, width - 1 - y)
        }
    }
}
