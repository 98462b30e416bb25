package org.pocketdslr.core

import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder as Endian

/**
 * The EXIF of a photo, as the TIFF block that a JPEG carries in its APP1 segment.
 *
 * It is edited in place, so maker's notes keep their offsets. XMP and gain maps are other segments and do not come along.
 */
class Exif(block: ByteArray) {
    private val bytes = block.copyOf()
    private val buffer = ByteBuffer.wrap(bytes)

    init {
        buffer.order(
            when {
                bytes.size < 8 -> throw IOException("EXIF is too short")
                bytes[0] == 'I'.code.toByte() -> Endian.LITTLE_ENDIAN
                else -> Endian.BIG_ENDIAN
            },
        )
    }

    val block: ByteArray get() = bytes.copyOf()

    val orientation: Orientation
        get() = Orientation.of(find(mainDirectory(), ORIENTATION)?.let { short(it + 8) } ?: 1)

    val hasLocation get() = find(mainDirectory(), GPS) != null

    /** Upright, of this size, and without the small preview, which shows the photo as it was. */
    fun upright(height: Int, width: Int) = Exif(bytes).apply {
        find(mainDirectory(), ORIENTATION)?.let { setNumber(it, 1) }
        find(mainDirectory(), EXIF_DIRECTORY)?.let { pointer ->
            val directory = long(pointer + 8)
            find(directory, WIDTH)?.let { setNumber(it, width) }
            find(directory, HEIGHT)?.let { setNumber(it, height) }
        }
        val next = mainDirectory() + 2 + 12 * count(mainDirectory())
        if (next >= 0 && next + 4 <= bytes.size) buffer.putInt(next, 0)
    }

    /** Without any GPS field: the entry that points to them is taken out, and what it pointed to is overwritten. */
    fun withoutLocation() = Exif(bytes).apply {
        val directory = mainDirectory()
        val entry = find(directory, GPS) ?: return@apply
        erase(long(entry + 8))
        val end = directory + 2 + 12 * count(directory) + 4 // and the pointer to the next directory
        bytes.copyInto(bytes, entry, entry + 12, minOf(end, bytes.size))
        buffer.putShort(directory, (count(directory) - 1).toShort())
    }

    private fun erase(directory: Int) {
        for (entry in entries(directory)) {
            val size = (SIZES.getOrElse(short(entry + 2)) { 1 }).toLong() * (long(entry + 4).toLong() and 0xffffffffL)
            val at = long(entry + 8)
            if (size > 4 && at >= 8 && at + size <= bytes.size) bytes.fill(0, at, (at + size).toInt())
        }
        val end = directory + 2 + 12 * count(directory)
        if (directory >= 8 && end <= bytes.size) bytes.fill(0, directory, end)
    }

    private fun mainDirectory() = long(4)

    private fun count(directory: Int) = if (directory in 8..bytes.size - 2) short(directory) else 0

    private fun entries(directory: Int) =
        (0 until count(directory)).map { directory + 2 + 12 * it }.filter { it + 12 <= bytes.size }

    private fun find(directory: Int, tag: Int) = entries(directory).firstOrNull { short(it) == tag }

    private fun setNumber(entry: Int, value: Int) {
        if (short(entry + 2) == 3) buffer.putShort(entry + 8, value.toShort()) else buffer.putInt(entry + 8, value)
    }

    private fun short(at: Int) = buffer.getShort(at).toInt() and 0xffff

    private fun long(at: Int) = buffer.getInt(at)

    companion object {
        private const val ORIENTATION = 0x0112
        private const val EXIF_DIRECTORY = 0x8769
        private const val GPS = 0x8825
        private const val WIDTH = 0xa002
        private const val HEIGHT = 0xa003
        private val SIZES = listOf(1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8) // bytes of a value, by its type

        /** From the beginning of a JPEG; null where there is none, or none that can be read. */
        fun ofJpeg(stream: InputStream): Exif? {
            fun word() = stream.read() shl 8 or stream.read()
            if (word() != 0xffd8) return null
            while (true) {
                val marker = word()
                if (marker and 0xff00 != 0xff00 || marker == 0xffda) return null
                val length = word() - 2
                if (length < 0) return null
                val content = ByteArray(length)
                var read = 0
                while (read < length) {
                    val more = stream.read(content, read, length - read)
                    if (more < 0) return null
                    read += more
                }
                if (marker == 0xffe1 && length > 14 && String(content, 0, 4) == "Exif") {
                    return runCatching { Exif(content.copyOfRange(6, length)).also { it.orientation } }.getOrNull()
                }
            }
        }
    }
}
