package org.pocketdslr.core

/**
 * The thumbnail of a photo whose rows come in order: box-averaged to [height] x [width], aspect ratio ignored.
 *
 * In units of 1/height and 1/width of a pixel all shares are integers, and those of one cell add up to
 * photoHeight * photoWidth, so that the result is the same in every language. 64-bit sums hold 200-megapixel photos.
 */
class ThumbnailSums(
    private val photoHeight: Int,
    private val photoWidth: Int,
    private val height: Int,
    private val width: Int,
    private val channels: Int = 3,
) {
    private val sums = LongArray(height * width * channels)
    private val row = LongArray(width * channels) // the current row, narrowed
    private var rows = 0

    init {
        require(photoHeight > 0 && photoWidth > 0) { "a thumbnail needs a photo with pixels" }
    }

    /** The next row of the photo: [bytes] from [offset], [stride] bytes from pixel to pixel, the first channels count. */
    fun addRow(bytes: ByteArray, offset: Int = 0, stride: Int = channels) {
        check(rows < photoHeight) { "more rows than the photo has" }
        narrow(bytes, offset, stride)
        val top = rows.toLong() * height
        val bottom = top + height
        val first = (top / photoHeight).toInt()
        val last = ((bottom + photoHeight - 1) / photoHeight).toInt()
        for (cell in first until last) {
            val share = minOf(bottom, (cell + 1L) * photoHeight) - maxOf(top, cell.toLong() * photoHeight)
            for (at in row.indices) sums[cell * row.size + at] += share * row[at]
        }
        rows++
    }

    private fun narrow(bytes: ByteArray, offset: Int, stride: Int) {
        row.fill(0)
        for (x in 0 until photoWidth) {
            val left = x.toLong() * width
            val right = left + width
            val first = (left / photoWidth).toInt()
            val last = ((right + photoWidth - 1) / photoWidth).toInt()
            for (cell in first until last) {
                val share = minOf(right, (cell + 1L) * photoWidth) - maxOf(left, cell.toLong() * photoWidth)
                for (c in 0 until channels) {
                    row[cell * channels + c] += share * (bytes[offset + x * stride + c].toInt() and 0xff)
                }
            }
        }
    }

    /** [height, width, channels], after the last row. */
    fun thumbnail(): ByteArray {
        check(rows == photoHeight) { "rows must make up the photo" }
        val weight = photoHeight.toLong() * photoWidth
        return ByteArray(sums.size) { ((sums[it] + weight / 2) / weight).toByte() }
    }
}
