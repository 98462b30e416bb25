import Foundation

/// What a live camera shows of a condition: Pocket's colour transform of a pixel, smoothed over time (SPEC.md, preview).
public struct ColourTransform: Equatable, Sendable {
    private static let endSlope: Float = 0.55
    private static let shoulderSlope: Float = 0.1
    private static let shoulderOffset: Float = 0.008
    private static let timeConstant = 0.4  // seconds

    /// Linear 3x3 by rows, square 3x3 by rows, offset: 21 numbers.
    public let numbers: [Float]

    /// nil where there are not 21 numbers.
    public init?(numbers: [Float]) {
        guard numbers.count == 21 else { return nil }
        self.numbers = numbers
    }

    /// Of the tensors matrix [1, 2 n, n] and offset of n numbers: the blocks of a cell's first pixel. nil where they are
    /// the condition of another network.
    public init?(matrix: [Float], offset: [Float]) {
        let n = offset.count
        guard n >= 3, matrix.count == 2 * n * n else { return nil }
        let places = (0..<9).map { ($0 / 3, $0 % 3) }
        let linear = places.map { matrix[$0.0 * n + $0.1] }
        let square = places.map { matrix[(n + $0.0) * n + $0.1] }
        numbers = linear + square + offset.prefix(3)
    }

    /// R G B in [0, 1], encoded sRGB -> the same.
    public func preview(_ pixel: SIMD3<Float>) -> SIMD3<Float> {
        var output = row(18)
        for colour in 0..<3 {
            output += pixel[colour] * row(3 * colour) + pixel[colour] * pixel[colour] * row(9 + 3 * colour)
        }
        let steep = pixel * Self.endSlope
        let flat = pixel * Self.shoulderSlope
        let most = pointwiseMax(steep + (1 - Self.endSlope), flat + (1 - Self.shoulderSlope - Self.shoulderOffset))
        return pointwiseMax(pointwiseMin(output, most), pointwiseMin(steep, flat + Self.shoulderOffset))
    }

    /// What is shown `elapsed` seconds later when `seen` is what the camera sees now.
    public func towards(_ seen: ColourTransform, elapsed: Double) -> ColourTransform {
        let share = Float(1 - exp(-max(0, elapsed) / Self.timeConstant))
        return ColourTransform(moved: zip(numbers, seen.numbers).map { $0 + share * ($1 - $0) })
    }

    private init(moved numbers: [Float]) {
        self.numbers = numbers
    }

    private func row(_ at: Int) -> SIMD3<Float> {
        SIMD3(numbers[at], numbers[at + 1], numbers[at + 2])
    }
}
