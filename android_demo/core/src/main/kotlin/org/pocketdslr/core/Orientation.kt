package org.pocketdslr.core

/** EXIF orientation 1 to 8: how stored pixels become an upright photo. */
@JvmInline
value class Orientation(val exif: Int) {
    init {
        require(exif in 1..8) { "an EXIF orientation lies between 1 and 8, not $exif" }
    }

    /** Whether width and height change places. */
    val swaps get() = exif >= 5

    /** The upright row of stored pixel ([y], [x]) of a stored photo of [height] x [width]. */
    fun uprightY(y: Int, x: Int, height: Int, width: Int) = when (exif) {
        1, 2 -> y
        3, 4 -> height - 1 - y
        5, 6 -> x
        else -> width - 1 - x
    }

    /** The upright column of stored pixel ([y], [x]). */
    fun uprightX(y: Int, x: Int, height: Int, width: Int) = when (exif) {
        1, 4 -> x
        2, 3 -> width - 1 - x
        5, 8 -> y
        else -> height - 1 - y
    }

    companion object {
        val UPRIGHT = Orientation(1)

        /** What files say; anything that is not an orientation counts as upright, as every viewer has it. */
        fun of(exif: Int) = if (exif in 1..8) Orientation(exif) else UPRIGHT
    }
}

/** Stored pixels [height, width, channels] as the upright photo. */
fun upright(stored: ByteArray, height: Int, width: Int, channels: Int, orientation: Orientation): ByteArray {
    val out = ByteArray(stored.size)
    val uprightWidth = if (orientation.swaps) height else width
    for (y in 0 until height) for (x in 0 until width) {
        val to = orientation.uprightY(y, x, height, width) * uprightWidth + orientation.uprightX(y, x, height, width)
        for (c in 0 until channels) out[to * channels + c] = stored[(y * width + x) * channels + c]
    }
    return out
}
