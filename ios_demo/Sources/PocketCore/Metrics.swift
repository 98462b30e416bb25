import Foundation

/// How far a device's output lies from the golden tile, in the terms of a report: float64 throughout (SPEC.md).
///
/// Both images are [1, 3, height, width] in [0, 1], at least 11 pixels on each side.
public struct Comparison: Equatable, Sendable {
    public let psnrDb: Double
    public let ssim: Double
    public let deltaE2000: Double
    /// Mean of image minus reference of R, G and B.
    public let colourShift: [Double]

    static let windowPx = 11

    /// nil if the two are not images of that size.
    public init?(_ image: [Float], reference: [Float], height: Int, width: Int) {
        let plane = height * width
        guard image.count == 3 * plane, reference.count == image.count, min(height, width) >= Self.windowPx else {
            return nil
        }
        let one = image.map(Double.init)
        let other = reference.map(Double.init)
        let differences = zip(one, other).map { $0 - $1 }
        let squared = differences.reduce(0) { $0 + $1 * $1 } / Double(differences.count)
        psnrDb = -10 * log10(max(squared, 1e-12))
        colourShift = (0..<3).map { channel in
            differences[(channel * plane)..<((channel + 1) * plane)].reduce(0, +) / Double(plane)
        }
        let similarities = (0..<3).map { channel -> Double in
            let range = (channel * plane)..<((channel + 1) * plane)
            return Self.similarity(Array(one[range]), Array(other[range]), height, width)
        }
        ssim = similarities.reduce(0, +) / 3
        deltaE2000 =
            (0..<plane).reduce(0) { sum, at in
                let first = Lab(red: one[at], green: one[plane + at], blue: one[2 * plane + at])
                let second = Lab(red: other[at], green: other[plane + at], blue: other[2 * plane + at])
                return sum + first.difference(to: second)
            } / Double(plane)
    }

    private static func similarity(_ x: [Double], _ y: [Double], _ height: Int, _ width: Int) -> Double {
        func mean(_ values: [Double]) -> [Double] { blurredInside(values, height, width) }
        let (meanX, meanY) = (mean(x), mean(y))
        let (squareX, squareY) = (mean(x.map { $0 * $0 }), mean(y.map { $0 * $0 }))
        let product = mean(zip(x, y).map { $0 * $1 })
        let (c1, c2) = (0.01 * 0.01, 0.03 * 0.03)
        let sum = meanX.indices.reduce(0.0) { sum, at in
            let (mx, my) = (meanX[at], meanY[at])
            let variances = squareX[at] - mx * mx + squareY[at] - my * my
            let covariance = product[at] - mx * my
            return sum + (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (variances + c2))
        }
        return sum / Double(meanX.count)
    }

    /// Gaussian means over the windows that lie wholly inside: [height - 10, width - 10].
    private static func blurredInside(_ values: [Double], _ height: Int, _ width: Int) -> [Double] {
        let weights = (0..<windowPx).map { exp(-0.5 * pow(Double($0 - windowPx / 2) / 1.5, 2)) }
        let taps = weights.map { $0 / weights.reduce(0, +) }
        let (rows, columns) = (height - windowPx + 1, width - windowPx + 1)
        var vertical = [Double](repeating: 0, count: rows * width)
        for y in 0..<rows {
            for x in 0..<width {
                var sum = 0.0
                for (at, tap) in taps.enumerated() { sum += tap * values[(y + at) * width + x] }
                vertical[y * width + x] = sum
            }
        }
        var blurred = [Double](repeating: 0, count: rows * columns)
        for y in 0..<rows {
            for x in 0..<columns {
                var sum = 0.0
                for (at, tap) in taps.enumerated() { sum += tap * vertical[y * width + x + at] }
                blurred[y * columns + x] = sum
            }
        }
        return blurred
    }
}

/// CIE Lab under D65.
struct Lab {
    let lightness: Double
    let a: Double
    let b: Double

    /// Of sRGB in [0, 1].
    init(red: Double, green: Double, blue: Double) {
        let (r, g, b) = (Self.linear(red), Self.linear(green), Self.linear(blue))
        let x = Self.root((0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047)
        let y = Self.root(0.212671 * r + 0.715160 * g + 0.072169 * b)
        let z = Self.root((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883)
        (lightness, a, self.b) = (116 * y - 16, 500 * (x - y), 200 * (y - z))
    }

    private static func linear(_ value: Double) -> Double {
        value > 0.04045 ? pow((value + 0.055) / 1.055, 2.4) : value / 12.92
    }

    private static func root(_ value: Double) -> Double {
        value > 0.008856 ? cbrt(value) : 7.787 * value + 16.0 / 116
    }

    /// CIEDE2000 (Sharma, Wu and Dalal 2005).
    func difference(to other: Lab) -> Double {
        let chroma = pow((hypot(a, b) + hypot(other.a, other.b)) / 2, 7)
        let gain = 0.5 * (1 - sqrt(chroma / (chroma + pow(25, 7))))
        let (a1, a2) = (a * (1 + gain), other.a * (1 + gain))
        let (c1, c2) = (hypot(a1, b), hypot(a2, other.b))
        let (h1, h2) = (Self.hue(a1, b), Self.hue(a2, other.b))

        var turn = h2 - h1
        var hue = h1 + h2
        if c1 * c2 == 0 {
            turn = 0
        } else if abs(h1 - h2) > 180 {
            turn += turn > 0 ? -360 : 360
            hue += hue < 360 ? 360 : -360
        }
        if c1 * c2 != 0 { hue /= 2 }
        let (meanL, meanC) = ((lightness + other.lightness) / 2, (c1 + c2) / 2)
        let weight =
            1 - 0.17 * Self.cosine(hue - 30) + 0.24 * Self.cosine(2 * hue) + 0.32 * Self.cosine(3 * hue + 6)
            - 0.20 * Self.cosine(4 * hue - 63)
        let middle = (meanL - 50) * (meanL - 50)
        let lightnessPart = (other.lightness - lightness) / (1 + 0.015 * middle / sqrt(20 + middle))
        let chromaPart = (c2 - c1) / (1 + 0.045 * meanC)
        let huePart = 2 * sqrt(c1 * c2) * sin(turn / 2 * .pi / 180) / (1 + 0.015 * meanC * weight)
        let meanChroma = pow(meanC, 7)
        let tilt = sin(60 * exp(-pow((hue - 275) / 25, 2)) * .pi / 180)
        let rotation = -2 * sqrt(meanChroma / (meanChroma + pow(25, 7))) * tilt
        let alone = lightnessPart * lightnessPart + chromaPart * chromaPart + huePart * huePart
        let squared = alone + rotation * chromaPart * huePart
        return sqrt(max(squared, 0))
    }

    /// In degrees, [0, 360); 0 without chroma.
    private static func hue(_ a: Double, _ b: Double) -> Double {
        if a == 0, b == 0 { return 0 }
        let degrees = atan2(b, a) * 180 / .pi
        return degrees < 0 ? degrees + 360 : degrees
    }

    private static func cosine(_ degrees: Double) -> Double { cos(degrees * .pi / 180) }
}
