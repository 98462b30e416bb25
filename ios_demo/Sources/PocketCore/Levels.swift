/// Grey levels of 8 bits and the float32 values of a model, [0, 1]. Every step is rounded to float32 and none is fused.

/// floor(value * 255 + 0.5), clamped to 0...255; NaN becomes 0.
public func level(of value: Float) -> UInt8 {
    let scaled = (value * 255 + 0.5).rounded(.down)
    if scaled >= 255 { return 255 }
    return scaled > 0 ? UInt8(scaled) : 0
}

public func value(of level: UInt8) -> Float {
    Float(level) / 255
}

/// How much of the enhancement is wanted: 0 gives the photo back, 1 the model's output.
public struct Strength: Hashable, Sendable {
    public static let full = Strength(unchecked: 1)
    public let value: Float

    /// nil outside [0, 1].
    public init?(_ value: Float) {
        guard value >= 0, value <= 1 else { return nil }
        self.value = value
    }

    private init(unchecked value: Float) { self.value = value }

    public func blend(before: Float, enhanced: Float) -> Float {
        before + value * (enhanced - before)
    }
}
