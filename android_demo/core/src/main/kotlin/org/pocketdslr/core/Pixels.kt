package org.pocketdslr.core

import java.io.Closeable
import java.io.File
import java.io.RandomAccessFile

/** A photo in upright rows of pixels, [channels] bytes each: 3 R G B, or 4 with alpha. */
interface Pixels : Closeable {
    val height: Int
    val width: Int
    val channels: Int

    /** Rows [top, top + rows) into [into], row after row. */
    fun readRows(top: Int, rows: Int, into: ByteArray)

    fun writeRows(top: Int, rows: Int, from: ByteArray)

    /** A part [rows] x [columns] at ([top], [left]). */
    fun writePart(top: Int, left: Int, rows: Int, columns: Int, from: ByteArray)

    override fun close() = Unit
}

/** For previews and tests. */
class MemoryPixels(
    override val height: Int, override val width: Int, override val channels: Int = 3,
    val bytes: ByteArray = ByteArray(height * width * channels),
) : Pixels {
    private val rowBytes = width * channels

    override fun readRows(top: Int, rows: Int, into: ByteArray) {
        bytes.copyInto(into, 0, top * rowBytes, (top + rows) * rowBytes)
    }

    override fun writeRows(top: Int, rows: Int, from: ByteArray) {
        from.copyInto(bytes, top * rowBytes, 0, rows * rowBytes)
    }

    override fun writePart(top: Int, left: Int, rows: Int, columns: Int, from: ByteArray) {
        for (y in 0 until rows) {
            val at = y * columns * channels
            from.copyInto(bytes, (top + y) * rowBytes + left * channels, at, at + columns * channels)
        }
    }
}

/**
 * On disk: 48 megapixels are 146 MB, which an app may not hold in memory. [file] keeps its content after [close].
 *
 * Writing throws IOException when the disk is full; [file] has its full length from the beginning, so that this is
 * noticed before the work where the file system tells.
 */
class FilePixels(
    val file: File, override val height: Int, override val width: Int, override val channels: Int = 3,
) : Pixels {
    private val rowBytes = width.toLong() * channels
    private val open = RandomAccessFile(file, "rw").also {
        if (it.length() != height * rowBytes) it.setLength(height * rowBytes)
    }

    override fun readRows(top: Int, rows: Int, into: ByteArray) {
        open.seek(top * rowBytes)
        open.readFully(into, 0, (rows * rowBytes).toInt())
    }

    override fun writeRows(top: Int, rows: Int, from: ByteArray) {
        open.seek(top * rowBytes)
        open.write(from, 0, (rows * rowBytes).toInt())
    }

    override fun writePart(top: Int, left: Int, rows: Int, columns: Int, from: ByteArray) {
        for (y in 0 until rows) {
            open.seek((top + y) * rowBytes + left * channels)
            open.write(from, y * columns * channels, columns * channels)
        }
    }

    /** Everything written is on the disk afterwards. */
    fun flush() = open.fd.sync()

    override fun close() = open.close()
}

/** The thumbnail that a model's analyze takes; [height, width, 3]. */
fun thumbnailOf(photo: Pixels, px: Int, cancel: Cancel = Cancel()): ByteArray {
    val sums = ThumbnailSums(photo.height, photo.width, px, px)
    val row = ByteArray(photo.width * photo.channels)
    for (y in 0 until photo.height) {
        cancel.check()
        photo.readRows(y, 1, row)
        sums.addRow(row, 0, photo.channels)
    }
    return sums.thumbnail()
}
