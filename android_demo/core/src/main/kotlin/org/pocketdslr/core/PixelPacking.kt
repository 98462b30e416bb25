package org.pocketdslr.core

/** Order of the values of an image in memory: planes (channels first) or pixels (channels last). */
enum class Layout { NCHW, NHWC, NRC }

/** Where value [c] of pixel ([y], [x]) of a [height] x [width] RGB image lies in a flat array. */
fun Layout.index(y: Int, x: Int, c: Int, height: Int, width: Int): Int =
    if (this == Layout.NHWC) (y * width + x) * 3 + c else (c * height + y) * width + x

/** Which byte of a pixel is red, green, blue; cameras and screens have 4 bytes a pixel, this project's files 3. */
enum class ByteOrder(val bytes: Int, val red: Int, val green: Int, val blue: Int) {
    RGB(3, 0, 1, 2), RGBA(4, 0, 1, 2), BGRA(4, 2, 1, 0)
}

/**
 * Bytes of pixels to floats, level / 255, in [layout]; alpha is not read.
 *
 * @param rowBytes from row to row, which may be padded as in a Bitmap's buffer
 * @param into height * width * 3 floats
 */
fun unpackRgb(
    bytes: ByteArray, height: Int, width: Int, order: ByteOrder, rowBytes: Int, layout: Layout, into: FloatArray,
) {
    require(rowBytes >= width * order.bytes) { "rows of $rowBytes bytes are too short for $width pixels" }
    for (y in 0 until height) for (x in 0 until width) {
        val at = y * rowBytes + x * order.bytes
        into[layout.index(y, x, 0, height, width)] = (bytes[at + order.red].toInt() and 0xff) / 255f
        into[layout.index(y, x, 1, height, width)] = (bytes[at + order.green].toInt() and 0xff) / 255f
        into[layout.index(y, x, 2, height, width)] = (bytes[at + order.blue].toInt() and 0xff) / 255f
    }
}

/** Floats in [layout] to rounded bytes of pixels, with alpha 255; padding is left as it is. */
fun packRgb(
    values: FloatArray, height: Int, width: Int, order: ByteOrder, rowBytes: Int, layout: Layout, into: ByteArray,
) {
    require(rowBytes >= width * order.bytes) { "rows of $rowBytes bytes are too short for $width pixels" }
    for (y in 0 until height) for (x in 0 until width) {
        val at = y * rowBytes + x * order.bytes
        into[at + order.red] = toUint8(values[layout.index(y, x, 0, height, width)]).toByte()
        into[at + order.green] = toUint8(values[layout.index(y, x, 1, height, width)]).toByte()
        into[at + order.blue] = toUint8(values[layout.index(y, x, 2, height, width)]).toByte()
        if (order.bytes == 4) into[at + 3] = -1
    }
}
