package org.pocketdslr.engine

import org.pocketdslr.core.Cancel
import org.pocketdslr.core.Exif
import org.pocketdslr.core.Orientation
import org.pocketdslr.core.Pixels
import java.io.Closeable

/** A photo as its file has it, read in bands of rows; sRGB, 8 bits. [notes]: what was dropped or assumed, in words. */
interface StoredPhoto : Closeable {
    val height: Int
    val width: Int
    val channels: Int
    val orientation: Orientation
    val exif: Exif?
    val notes: List<String>

    /** Rows [top, top + rows), [channels] bytes a pixel. */
    fun readRows(top: Int, rows: Int, into: ByteArray)
}

val StoredPhoto.uprightHeight get() = if (orientation.swaps) width else height
val StoredPhoto.uprightWidth get() = if (orientation.swaps) height else width

private const val BAND_ROWS = 128 // 48 megapixels: bands of 3 MB

/** All pixels, turned upright once, band by band. */
fun copyUpright(stored: StoredPhoto, into: Pixels, cancel: Cancel = Cancel()) {
    require(into.height == stored.uprightHeight && into.width == stored.uprightWidth) { "sizes do not fit" }
    val channels = stored.channels
    val band = ByteArray(BAND_ROWS * stored.width * channels)
    val turned = ByteArray(band.size)
    for (top in 0 until stored.height step BAND_ROWS) {
        cancel.check()
        val rows = minOf(BAND_ROWS, stored.height - top)
        stored.readRows(top, rows, band)
        val swaps = stored.orientation.swaps
        val height = if (swaps) stored.width else rows
        val width = if (swaps) rows else stored.width
        // Where the band lies in the upright photo: between the corners of its first and its last pixel.
        val (firstY, firstX) = corner(stored, top, 0)
        val (lastY, lastX) = corner(stored, top + rows - 1, stored.width - 1)
        val y0 = minOf(firstY, lastY)
        val x0 = minOf(firstX, lastX)
        // The way from pixel to pixel and from row to row, in pixels of the turned band.
        val start = (firstY - y0) * width + firstX - x0
        val alongX = if (swaps) (if (lastY > firstY) width else -width) else (if (lastX > firstX) 1 else -1)
        val alongY = if (swaps) (if (lastX > firstX) 1 else -1) else (if (lastY > firstY) width else -width)
        for (y in 0 until rows) for (x in 0 until stored.width) {
            val to = (start + y * alongY + x * alongX) * channels
            val from = (y * stored.width + x) * channels
            for (c in 0 until channels) turned[to + c] = band[from + c]
        }
        into.writePart(y0, x0, height, width, turned)
    }
}

private fun corner(photo: StoredPhoto, y: Int, x: Int) = Pair(
    photo.orientation.uprightY(y, x, photo.height, photo.width),
    photo.orientation.uprightX(y, x, photo.height, photo.width),
)
