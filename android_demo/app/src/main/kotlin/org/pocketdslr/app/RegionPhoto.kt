package org.pocketdslr.app

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.BitmapRegionDecoder
import android.graphics.ColorSpace
import android.graphics.Rect
import android.media.ExifInterface
import android.net.Uri
import org.pocketdslr.core.Exif
import org.pocketdslr.core.MemoryPixels
import org.pocketdslr.core.Orientation
import org.pocketdslr.engine.StoredPhoto
import org.pocketdslr.engine.copyUpright
import org.pocketdslr.engine.uprightHeight
import org.pocketdslr.engine.uprightWidth
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream

/**
 * A photo of the gallery, decoded region by region: 48 megapixels never lie in memory.
 *
 * The decoder converts any colour space, Display P3 among them, to sRGB, which the model was made for. A gain map (Ultra
 * HDR) is no part of the base picture and is dropped; the notes say so.
 */
class RegionPhoto private constructor(
    private val decoder: BitmapRegionDecoder, override val exif: Exif?, override val orientation: Orientation,
    override val channels: Int, override val notes: List<String>,
) : StoredPhoto {
    override val height = decoder.height
    override val width = decoder.width

    override fun readRows(top: Int, rows: Int, into: ByteArray) {
        val options = srgb()
        val bitmap = decoder.decodeRegion(Rect(0, top, width, top + rows), options) ?: throw IOException("the photo ends early")
        bytesOf(bitmap, channels, into)
        bitmap.recycle()
    }

    override fun close() = decoder.recycle()

    companion object {
        /** Raises SecurityException or FileNotFoundException (access was taken back), IOException (not a photo). */
        fun open(resolver: ContentResolver, source: Uri): RegionPhoto {
            val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
            stream(resolver, source).use { BitmapFactory.decodeStream(it, null, bounds) }
            if (bounds.outWidth <= 0) throw IOException("not a photo that Android can read")
            val decoder = stream(resolver, source).use { newDecoder(it) }
            val jpeg = bounds.outMimeType == "image/jpeg"
            val exif = if (jpeg) stream(resolver, source).buffered().use(Exif::ofJpeg) else null
            val mayBeClear = bounds.outMimeType in listOf("image/png", "image/webp", "image/gif")
            return RegionPhoto(
                decoder, exif, orientation(resolver, source, bounds.outMimeType, exif), if (mayBeClear) 4 else 3,
                notes(resolver, source, bounds, jpeg),
            )
        }

        /** HEIF files say themselves how to turn, and the decoder does it. */
        private fun orientation(resolver: ContentResolver, source: Uri, type: String?, exif: Exif?) = when {
            exif != null -> exif.orientation
            type == "image/heif" || type == "image/heic" || type == "image/avif" -> Orientation.UPRIGHT
            else -> stream(resolver, source).use {
                val said = runCatching { ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1) }
                Orientation.of(said.getOrDefault(1))
            }
        }

        private fun notes(resolver: ContentResolver, source: Uri, bounds: BitmapFactory.Options, jpeg: Boolean) = buildList {
            val space = bounds.outColorSpace
            if (space != null && !space.isSrgb) add("colours were converted from ${space.name} to sRGB")
            if (jpeg && hasGainMap(resolver, source)) add("the HDR gain map was dropped")
            if (!jpeg) add("EXIF is kept for JPEG only, and is not in the result")
        }

        /** Ultra HDR says so in its XMP, near the beginning. */
        private fun hasGainMap(resolver: ContentResolver, source: Uri): Boolean = stream(resolver, source).use {
            val head = ByteArray(HEAD_BYTES)
            var size = 0
            while (size < head.size) {
                val read = it.read(head, size, head.size - size)
                if (read < 0) break
                size += read
            }
            "hdrgm:Version" in String(head, 0, size, Charsets.ISO_8859_1)
        }

        private const val HEAD_BYTES = 1 shl 17

        fun stream(resolver: ContentResolver, source: Uri): InputStream =
            resolver.openInputStream(source) ?: throw FileNotFoundException("$source")

        @Suppress("DEPRECATION") // its successor came with Android 12
        private fun newDecoder(stream: InputStream) =
            BitmapRegionDecoder.newInstance(stream, false) ?: throw IOException("not a photo that Android can read in parts")
    }
}

private fun srgb() = BitmapFactory.Options().apply {
    inPreferredConfig = Bitmap.Config.ARGB_8888
    inPreferredColorSpace = ColorSpace.get(ColorSpace.Named.SRGB)
    inPremultiplied = false // colours under transparent pixels stay what they are
}

/** ARGB integers to R G B (A) bytes, a row at a time. */
fun bytesOf(bitmap: Bitmap, channels: Int, into: ByteArray) {
    val row = IntArray(bitmap.width)
    var at = 0
    for (y in 0 until bitmap.height) {
        bitmap.getPixels(row, 0, bitmap.width, 0, y, bitmap.width, 1)
        for (pixel in row) {
            into[at++] = (pixel shr 16).toByte()
            into[at++] = (pixel shr 8).toByte()
            into[at++] = pixel.toByte()
            if (channels == 4) into[at++] = (pixel ushr 24).toByte()
        }
    }
}

/** For the screen. */
fun bitmapOf(photo: MemoryPixels): Bitmap {
    val pixels = IntArray(photo.height * photo.width) {
        val at = it * photo.channels
        fun byte(c: Int) = photo.bytes[at + c].toInt() and 0xff
        val alpha = if (photo.channels == 4) byte(3) else 255
        alpha shl 24 or (byte(0) shl 16) or (byte(1) shl 8) or byte(2)
    }
    return Bitmap.createBitmap(pixels, photo.width, photo.height, Bitmap.Config.ARGB_8888)
}

/** A small upright version, both sides about [side] px or less. */
fun smallPhoto(resolver: ContentResolver, source: Uri, side: Int): Pair<MemoryPixels, List<String>> =
    RegionPhoto.open(resolver, source).use { photo ->
        val options = srgb().apply {
            inSampleSize = 1
            while (maxOf(photo.height, photo.width) / inSampleSize > side) inSampleSize *= 2
        }
        val bitmap = RegionPhoto.stream(resolver, source).use { BitmapFactory.decodeStream(it, null, options) }
            ?: throw IOException("not a photo that Android can read")
        val stored = object : StoredPhoto {
            override val height = bitmap.height
            override val width = bitmap.width
            override val channels = 3
            override val orientation = photo.orientation
            override val exif = null
            override val notes = photo.notes
            private val bytes = ByteArray(height * width * 3).also { bytesOf(bitmap, 3, it) }
            override fun readRows(top: Int, rows: Int, into: ByteArray) {
                bytes.copyInto(into, 0, top * width * 3, (top + rows) * width * 3)
            }
            override fun close() = bitmap.recycle()
        }
        stored.use { MemoryPixels(it.uprightHeight, it.uprightWidth).also { small -> copyUpright(it, small) } to it.notes }
    }
