package org.pocketdslr.core

import java.io.OutputStream
import kotlin.math.cos
import kotlin.math.roundToInt
import kotlin.math.sqrt

/**
 * A baseline JPEG, written row by row: Android's own encoder wants the whole photo as a Bitmap, 195 MB for 48
 * megapixels. No chroma subsampling, standard tables (ITU-T T.81, annex K), sRGB as JFIF has it.
 *
 * @param exif the TIFF block of an APP1 segment, without "Exif\0\0"; or null
 */
fun writeJpeg(photo: Pixels, out: OutputStream, quality: Int = 95, exif: ByteArray? = null, cancel: Cancel = Cancel()) {
    require(photo.height in 1..65535 && photo.width in 1..65535) { "a JPEG side has 1 to 65535 pixels" }
    require(quality in 1..100) { "a JPEG quality lies between 1 and 100" }
    val writer = JpegWriter(out, quality)
    writer.header(photo.height, photo.width, exif)
    val band = ByteArray(8 * photo.width * photo.channels)
    for (top in 0 until photo.height step 8) {
        cancel.check()
        val rows = minOf(8, photo.height - top)
        photo.readRows(top, rows, band)
        writer.band(band, rows, photo.width, photo.channels)
    }
    writer.end()
}

private class JpegWriter(private val out: OutputStream, quality: Int) {
    private val scale = if (quality < 50) 5000 / quality else 200 - 2 * quality
    private val tables = arrayOf(LUMINANCE, CHROMINANCE).map { base ->
        IntArray(64) { ((base[it] * scale + 50) / 100).coerceIn(1, 255) }
    }
    private val codes = HUFFMAN.map { (counts, values) -> huffman(counts, values) } // DC, AC of luminance, chrominance
    private val previous = IntArray(3)
    private var bits = 0
    private var bitCount = 0
    private val block = FloatArray(64)
    private val quantized = IntArray(64)

    fun header(height: Int, width: Int, exif: ByteArray?) {
        word(0xffd8)
        if (exif == null) segment(0xe0, "JFIF\u0000".toByteArray() + byteArrayOf(1, 2, 0, 0, 1, 0, 1, 0, 0))
        else segment(0xe1, "Exif\u0000\u0000".toByteArray() + exif)
        for ((at, table) in tables.withIndex()) {
            segment(0xdb, byteArrayOf(at.toByte()) + ByteArray(64) { table[ZIGZAG[it]].toByte() })
        }
        val size = byteArrayOf(8, (height shr 8).toByte(), height.toByte(), (width shr 8).toByte(), width.toByte(), 3)
        segment(0xc0, size + byteArrayOf(1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1))
        for ((at, table) in HUFFMAN.withIndex()) {
            val id = (at % 2 shl 4 or at / 2).toByte()
            segment(0xc4, byteArrayOf(id) + bytesOf(table.first) + bytesOf(table.second))
        }
        segment(0xda, byteArrayOf(3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0))
    }

    /** Eight rows, or what is left; the last row and column repeat. */
    fun band(pixels: ByteArray, rows: Int, width: Int, channels: Int) {
        for (left in 0 until width step 8) for (component in 0..2) {
            for (y in 0..7) for (x in 0..7) {
                val at = (minOf(y, rows - 1) * width + minOf(left + x, width - 1)) * channels
                val r = pixels[at].toInt() and 0xff
                val g = pixels[at + 1].toInt() and 0xff
                val b = pixels[at + 2].toInt() and 0xff
                block[y * 8 + x] = when (component) {
                    0 -> 0.299f * r + 0.587f * g + 0.114f * b - 128f
                    1 -> -0.168736f * r - 0.331264f * g + 0.5f * b
                    else -> 0.5f * r - 0.418688f * g - 0.081312f * b
                }
            }
            encode(component)
        }
    }

    fun end() {
        put(0x7f, 7)
        word(0xffd9)
        out.flush()
    }

    private fun encode(component: Int) {
        transform()
        val kind = minOf(component, 1)
        for (at in 0..63) quantized[at] = (block[ZIGZAG[at]] / tables[kind][ZIGZAG[at]]).roundToInt()
        val difference = quantized[0] - previous[component]
        previous[component] = quantized[0]
        symbol(codes[2 * kind], 0, difference)
        var zeros = 0
        for (at in 1..63) {
            if (quantized[at] == 0) { zeros++; continue }
            while (zeros > 15) { code(codes[2 * kind + 1], 0xf0); zeros -= 16 }
            symbol(codes[2 * kind + 1], zeros, quantized[at])
            zeros = 0
        }
        if (zeros > 0) code(codes[2 * kind + 1], 0)
    }

    /** The discrete cosine transform of the block, rows and then columns. */
    private fun transform() {
        val line = FloatArray(8)
        for (start in 0..7) transform(start * 8, 1, line)
        for (start in 0..7) transform(start, 8, line)
    }

    private fun transform(start: Int, step: Int, line: FloatArray) {
        for (x in 0..7) line[x] = block[start + x * step]
        for (u in 0..7) {
            var sum = 0f
            for (x in 0..7) sum += line[x] * COSINES[u * 8 + x]
            block[start + u * step] = sum
        }
    }

    private fun symbol(table: IntArray, zeros: Int, value: Int) {
        val size = 32 - Integer.numberOfLeadingZeros(if (value < 0) -value else value)
        code(table, zeros shl 4 or size)
        if (size > 0) put(if (value < 0) value + (1 shl size) - 1 else value, size)
    }

    private fun code(table: IntArray, symbol: Int) = put(table[symbol] shr 8, table[symbol] and 0xff)

    private fun put(value: Int, count: Int) {
        bits = bits shl count or (value and ((1 shl count) - 1))
        bitCount += count
        while (bitCount >= 8) {
            val byte = bits shr (bitCount - 8) and 0xff
            out.write(byte)
            if (byte == 0xff) out.write(0)
            bitCount -= 8
        }
    }

    private fun word(value: Int) {
        out.write(value shr 8)
        out.write(value)
    }

    private fun segment(marker: Int, content: ByteArray) {
        require(content.size + 2 <= 0xffff) { "a JPEG segment holds 64 KB" }
        word(0xff00 or marker)
        word(content.size + 2)
        out.write(content)
    }
}

/** For each symbol: its code shifted by 8, and the length of it. */
private fun huffman(counts: IntArray, values: IntArray): IntArray {
    val table = IntArray(256)
    var code = 0
    var at = 0
    for (length in 1..16) {
        repeat(counts[length - 1]) { table[values[at++]] = code++ shl 8 or length }
        code = code shl 1
    }
    return table
}

private fun bytesOf(values: IntArray) = ByteArray(values.size) { values[it].toByte() }

private val COSINES = FloatArray(64) {
    val (u, x) = it / 8 to it % 8
    (cos((2 * x + 1) * u * Math.PI / 16) * if (u == 0) sqrt(0.125) else 0.5).toFloat()
}
private val ZIGZAG = IntArray(64).also { order ->
    var (y, x) = 0 to 0
    for (at in 0..63) {
        order[at] = y * 8 + x
        if ((x + y) % 2 == 0) when { x == 7 -> y++; y == 0 -> x++; else -> { x++; y-- } }
        else when { y == 7 -> x++; x == 0 -> y++; else -> { x--; y++ } }
    }
}

private fun numbers(text: String) = text.trim().split(Regex("\\s+")).map { it.toInt() }.toIntArray()

private val LUMINANCE = numbers(
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 " +
        "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99",
)
private val CHROMINANCE = numbers(
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99 " +
        "99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99",
)

private fun hexBytes(text: String) = text.chunked(2).map { it.toInt(16) }.toIntArray()

/** Counts of codes by length, and symbols in order: DC and AC of luminance, DC and AC of chrominance. */
private val HUFFMAN = listOf(
    numbers("0 1 5 1 1 1 1 1 1 0 0 0 0 0 0 0") to IntArray(12) { it },
    numbers("0 2 1 3 3 2 4 3 5 5 4 4 0 0 1 125") to hexBytes(
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435" +
            "363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a9293949596" +
            "9798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9ea" +
            "f1f2f3f4f5f6f7f8f9fa",
    ),
    numbers("0 3 1 1 1 1 1 1 1 1 1 0 0 0 0 0") to IntArray(12) { it },
    numbers("0 2 1 2 4 4 3 4 7 5 4 4 0 1 2 119") to hexBytes(
        "0001020311040521310612415107617113223281081442" + "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a" +
            "35363738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a929394" +
            "95969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9" +
            "eaf2f3f4f5f6f7f8f9fa",
    ),
)
