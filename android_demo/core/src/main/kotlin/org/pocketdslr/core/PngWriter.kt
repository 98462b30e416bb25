package org.pocketdslr.core

import java.io.ByteArrayOutputStream
import java.io.OutputStream
import java.nio.ByteBuffer
import java.util.zip.CRC32
import java.util.zip.Deflater

/** A PNG, 8 bits, RGB or RGBA, written row by row: for photos with transparency. */
fun writePng(photo: Pixels, out: OutputStream, cancel: Cancel = Cancel()) {
    out.write(byteArrayOf(-119, 80, 78, 71, 13, 10, 26, 10))
    val colour: Byte = if (photo.channels == 4) 6 else 2
    chunk(out, "IHDR", ByteBuffer.allocate(13).putInt(photo.width).putInt(photo.height).put(8).put(colour).array())
    chunk(out, "sRGB", byteArrayOf(0))
    val deflater = Deflater(6)
    val pixels = ByteArray(photo.width * photo.channels)
    val filtered = ByteArray(1 + pixels.size)
    val packed = ByteArrayOutputStream()
    val buffer = ByteArray(1 shl 16)
    fun drain(finish: Boolean) {
        if (finish) deflater.finish()
        while (true) {
            val size = deflater.deflate(buffer)
            if (size == 0) break
            packed.write(buffer, 0, size)
        }
        if (packed.size() > 1 shl 18 || finish) {
            chunk(out, "IDAT", packed.toByteArray())
            packed.reset()
        }
    }
    for (y in 0 until photo.height) {
        cancel.check()
        photo.readRows(y, 1, pixels)
        filtered[0] = 1 // each byte minus that of the pixel to the left
        for (at in pixels.indices) {
            filtered[at + 1] = (pixels[at] - if (at >= photo.channels) pixels[at - photo.channels] else 0).toByte()
        }
        deflater.setInput(filtered)
        drain(finish = false)
    }
    drain(finish = true)
    deflater.end()
    chunk(out, "IEND", ByteArray(0))
    out.flush()
}

private fun chunk(out: OutputStream, name: String, content: ByteArray) {
    val named = name.toByteArray() + content
    val crc = CRC32().apply { update(named) }
    out.write(ByteBuffer.allocate(4).putInt(content.size).array())
    out.write(named)
    out.write(ByteBuffer.allocate(4).putInt(crc.value.toInt()).array())
}
