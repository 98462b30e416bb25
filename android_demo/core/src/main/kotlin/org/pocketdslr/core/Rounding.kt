package org.pocketdslr.core

import kotlin.math.floor

/** A value in [0, 1] as 8 bits: floor(x * 255 + 0.5) in float32, clamped; NaN becomes 0. */
fun toUint8(value: Float): Int {
    val scaled = floor(value * 255f + 0.5f)
    return when {
        scaled.isNaN() -> 0
        else -> scaled.coerceIn(0f, 255f).toInt()
    }
}

/** A blend of a photo's value and the model's, both in [0, 1]; [enhanced] is clamped first. NaN counts as 0. */
fun blend(before: Float, enhanced: Float, strength: Float): Float {
    val clamped = if (enhanced.isNaN()) enhanced else enhanced.coerceIn(0f, 1f)
    return before + strength * (clamped - before)
}
