package org.pocketdslr.core

import kotlin.math.abs
import kotlin.math.atan2
import kotlin.math.cbrt
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.hypot
import kotlin.math.pow
import kotlin.math.sin
import kotlin.math.sqrt

/** The metrics of a report that are not exact across languages: as `training/quality/metrics.py`, to about six decimals.
 *
 * Images are [height * width * 3] in pixels (channels last), in [0, 1]. */
class Similarity(private val height: Int, private val width: Int) {

    /** Structural similarity: Gaussian window of 11 px, sigma 1.5, inside the image only; mean of three channels. */
    fun ssim(image: FloatArray, reference: FloatArray): Double = (0..2).map { c ->
        val x = DoubleArray(height * width) { image[it * 3 + c].toDouble() }
        val y = DoubleArray(height * width) { reference[it * 3 + c].toDouble() }
        val (meanX, meanY) = blur(x) to blur(y)
        val xx = blur(DoubleArray(x.size) { x[it] * x[it] })
        val yy = blur(DoubleArray(x.size) { y[it] * y[it] })
        val xy = blur(DoubleArray(x.size) { x[it] * y[it] })
        meanX.indices.sumOf {
            val product = meanX[it] * meanY[it]
            val squares = meanX[it] * meanX[it] + meanY[it] * meanY[it]
            (2 * product + C1) * (2 * (xy[it] - product) + C2) / ((squares + C1) * (xx[it] + yy[it] - squares + C2))
        } / meanX.size
    }.average()

    private fun blur(values: DoubleArray): DoubleArray {
        require(height >= WINDOW && width >= WINDOW) { "a side is below $WINDOW px" }
        val insideWidth = width - WINDOW + 1
        val rows = DoubleArray(height * insideWidth)
        for (y in 0 until height) for (x in 0 until insideWidth) {
            var sum = 0.0
            for (at in 0 until WINDOW) sum += TAPS[at] * values[y * width + x + at]
            rows[y * insideWidth + x] = sum
        }
        return DoubleArray((height - WINDOW + 1) * insideWidth) {
            var sum = 0.0
            for (at in 0 until WINDOW) sum += TAPS[at] * rows[it + at * insideWidth]
            sum
        }
    }

    /** Mean colour difference CIEDE2000 (Sharma et al. 2005), sRGB under D65. */
    fun deltaE2000(image: FloatArray, reference: FloatArray): Double =
        (0 until height * width).sumOf { ciede2000(lab(image, it * 3), lab(reference, it * 3)) } / (height * width)

    /** Mean of image minus reference of each channel. */
    fun colourShift(image: FloatArray, reference: FloatArray): List<Double> = (0..2).map { c ->
        (0 until height * width).sumOf { image[it * 3 + c].toDouble() - reference[it * 3 + c] } / (height * width)
    }

    private companion object {
        const val WINDOW = 11
        const val C1 = 0.01 * 0.01
        const val C2 = 0.03 * 0.03
        val TAPS = DoubleArray(WINDOW) { exp(-0.5 * ((it - 5) / 1.5).pow(2)) }
            .let { taps -> taps.sum().let { sum -> DoubleArray(WINDOW) { taps[it] / sum } } }
    }
}

private fun linear(value: Double) = if (value > 0.04045) ((value + 0.055) / 1.055).pow(2.4) else value / 12.92

private fun lab(image: FloatArray, at: Int): DoubleArray {
    val (r, g, b) = DoubleArray(3) { linear(image[at + it].toDouble()) }.toList()
    fun f(value: Double) = if (value > 0.008856) cbrt(value) else 7.787 * value + 16.0 / 116
    val x = f((0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047)
    val y = f(0.212671 * r + 0.715160 * g + 0.072169 * b)
    val z = f((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883)
    return doubleArrayOf(116 * y - 16, 500 * (x - y), 200 * (y - z))
}

private fun ciede2000(one: DoubleArray, other: DoubleArray): Double {
    val mean7 = ((hypot(one[1], one[2]) + hypot(other[1], other[2])) / 2).pow(7)
    val scale = 1 + 0.5 * (1 - sqrt(mean7 / (mean7 + 25.0.pow(7))))
    fun hue(b: Double, a: Double) = Math.toDegrees(atan2(b, a)).let { if (it < 0) it + 360 else it }
    val (a1, a2) = one[1] * scale to other[1] * scale
    val (c1, c2) = hypot(a1, one[2]) to hypot(a2, other[2])
    val (h1, h2) = hue(one[2], a1) to hue(other[2], a2)
    val meanL = (one[0] + other[0]) / 2
    val meanC = (c1 + c2) / 2
    var difference = h2 - h1
    var meanH = h1 + h2
    if (c1 * c2 == 0.0) {
        difference = 0.0
    } else {
        if (abs(h1 - h2) > 180) meanH += if (h1 + h2 < 360) 360 else -360
        if (difference > 180) difference -= 360 else if (difference < -180) difference += 360
        meanH /= 2
    }
    fun cosine(degrees: Double) = cos(Math.toRadians(degrees))
    val t = 1 - 0.17 * cosine(meanH - 30) + 0.24 * cosine(2 * meanH) + 0.32 * cosine(3 * meanH + 6) -
        0.20 * cosine(4 * meanH - 63)
    val away = (meanL - 50).pow(2)
    val sl = 1 + 0.015 * away / sqrt(20 + away)
    val sc = 1 + 0.045 * meanC
    val sh = 1 + 0.015 * meanC * t
    val c7 = meanC.pow(7)
    val rotation = -sin(Math.toRadians(60 * exp(-((meanH - 275) / 25).pow(2)))) * 2 * sqrt(c7 / (c7 + 25.0.pow(7)))
    val dl = (other[0] - one[0]) / sl
    val dc = (c2 - c1) / sc
    val dh = 2 * sqrt(c1 * c2) * sin(Math.toRadians(difference / 2)) / sh
    return sqrt(maxOf(0.0, dl * dl + dc * dc + dh * dh + rotation * dc * dh))
}
