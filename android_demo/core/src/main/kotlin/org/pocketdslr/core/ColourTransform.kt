package org.pocketdslr.core

import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

private const val END_SLOPE = 0.55f
private const val SHOULDER_SLOPE = 0.1f
private const val SHOULDER_OFFSET = 0.008f
private const val TIME_CONSTANT_S = 0.4

/**
 * What a live camera shows of a condition: Pocket's colour transform of a pixel, smoothed over time (SPEC.md, preview).
 *
 * @param numbers linear 3x3 by rows, square 3x3 by rows, offset: 21 numbers.
 */
class ColourTransform(val numbers: FloatArray) {
    init {
        require(numbers.size == 21) { "a colour transform has 21 numbers, not ${numbers.size}" }
    }

    /** R G B in [0, 1], encoded sRGB, three of them from [at] on, are replaced by the preview. */
    fun apply(pixels: FloatArray, at: Int = 0) {
        val (red, green, blue) = FloatArray(3) { pixels[at + it] }
        for (column in 0..2) {
            val y = numbers[18 + column] +
                red * (numbers[column] + red * numbers[9 + column]) +
                green * (numbers[3 + column] + green * numbers[12 + column]) +
                blue * (numbers[6 + column] + blue * numbers[15 + column])
            val x = pixels[at + column]
            val most = max(END_SLOPE * x + 1 - END_SLOPE, SHOULDER_SLOPE * x + 1 - SHOULDER_SLOPE - SHOULDER_OFFSET)
            pixels[at + column] = max(min(y, most), min(END_SLOPE * x, SHOULDER_SLOPE * x + SHOULDER_OFFSET))
        }
    }

    /** What is shown [elapsedS] seconds later when [seen] is what the camera sees now. */
    fun towards(seen: ColourTransform, elapsedS: Double): ColourTransform {
        val share = (1 - exp(-max(0.0, elapsedS) / TIME_CONSTANT_S)).toFloat()
        return ColourTransform(FloatArray(21) { numbers[it] + share * (seen.numbers[it] - numbers[it]) })
    }

    companion object {
        /** Of the tensors matrix [1, 2 n, n] and offset of n numbers: the blocks of a cell's first pixel. */
        fun of(matrix: FloatArray, offset: FloatArray): ColourTransform {
            val n = offset.size
            require(n >= 3 && matrix.size == 2 * n * n) { "a condition of Pocket has matrix [1, 2 n, n] and offset [n]" }
            return ColourTransform(
                FloatArray(21) {
                    when {
                        it < 9 -> matrix[it / 3 * n + it % 3]
                        it < 18 -> matrix[(n + (it - 9) / 3) * n + it % 3]
                        else -> offset[it - 18]
                    }
                },
            )
        }
    }
}
