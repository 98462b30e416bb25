package org.pocketdslr.engine

import org.pocketdslr.core.Border
import org.pocketdslr.core.ByteOrder
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.Manifest
import org.pocketdslr.core.Pixels
import org.pocketdslr.core.Span
import org.pocketdslr.core.blend
import org.pocketdslr.core.index
import org.pocketdslr.core.spans
import org.pocketdslr.core.thumbnailOf
import org.pocketdslr.core.toUint8
import org.pocketdslr.core.unpackRgb

/**
 * Enhances a photo of any size in tiles, one row of tiles after the other, as `training/enhance.py` does.
 *
 * In memory there is one row of tiles of the photo and of the result: 12 MB for 48 megapixels and tiles of 256.
 */
class PhotoEnhancer(private val manifest: Manifest, private val engine: Engine) {
    private val tiling = manifest.tiling
    private val input = manifest.enhance.inputs[0]
    private val output = manifest.enhance.outputs[0]
    private val tile = FloatArray(input.values)
    private val tileBytes = ByteArray(tiling.tile * tiling.tile * 3)

    /** What the model concludes from the whole photo. */
    fun condition(photo: Pixels, cancel: Cancel = Cancel()): List<FloatArray> {
        val spec = manifest.analyze.inputs[0]
        val px = manifest.thumbnailPx
        val thumbnail = FloatArray(spec.values)
        unpackRgb(thumbnailOf(photo, px, cancel), px, px, ByteOrder.RGB, px * 3, spec.layout, thumbnail)
        return engine.analyze(thumbnail)
    }

    /**
     * Enhance rows from [fromRow] on, which an earlier call gave to [done], into [result].
     *
     * @param strength 0 leaves the photo as it is, 1 is the full effect
     * @param progress called after each tile with the share of all pixels that are done
     * @param done called when all rows above the given one are in [result]
     */
    fun enhance(
        photo: Pixels, result: Pixels, condition: List<FloatArray>, strength: Float = 1f, fromRow: Int = 0,
        cancel: Cancel = Cancel(), progress: (Float) -> Unit = {}, done: (Int) -> Unit = {},
    ) {
        require(strength in 0f..1f) { "strength must lie in [0, 1], not $strength" }
        require(photo.height == result.height && photo.width == result.width && photo.channels == result.channels) {
            "the result must have the size of the photo"
        }
        val rows = spans(photo.height, tiling)
        val columns = spans(photo.width, tiling)
        val band = ByteArray(tiling.tile * photo.width * photo.channels)
        val kept = ByteArray(rows.maxOf { it.to - it.from } * photo.width * photo.channels)
        for (row in rows.filter { it.from >= fromRow }) {
            val top = row.origin.coerceAtLeast(0)
            val bottom = minOf(row.origin + tiling.tile, photo.height)
            photo.readRows(top, bottom - top, band)
            for (column in columns) {
                cancel.check()
                cut(band, top, bottom, photo, row, column)
                val enhanced = engine.enhance(tile, condition)
                keep(enhanced, band, top, photo, row, column, strength, kept)
                val before = row.from.toLong() * photo.width + (row.to - row.from).toLong() * column.to
                progress(before.toFloat() / (photo.height.toLong() * photo.width))
            }
            result.writeRows(row.from, row.to - row.from, kept)
            done(row.to)
        }
    }

    /** Fill [tile]; outside the photo its edge repeats. */
    private fun cut(band: ByteArray, top: Int, bottom: Int, photo: Pixels, row: Span, column: Span) {
        val channels = photo.channels
        check(tiling.border == Border.CLAMP || column.origin >= 0) { "a tile reaches outside the photo" }
        for (y in 0 until tiling.tile) {
            val from = ((row.origin + y).coerceIn(top, bottom - 1) - top) * photo.width
            for (x in 0 until tiling.tile) {
                val at = (from + (column.origin + x).coerceIn(0, photo.width - 1)) * channels
                band.copyInto(tileBytes, (y * tiling.tile + x) * 3, at, at + 3)
            }
        }
        unpackRgb(tileBytes, tiling.tile, tiling.tile, ByteOrder.RGB, tiling.tile * 3, input.layout, tile)
    }

    private fun keep(
        enhanced: FloatArray, band: ByteArray, top: Int, photo: Pixels, row: Span, column: Span, strength: Float,
        kept: ByteArray,
    ) {
        val channels = photo.channels
        for (y in row.from until row.to) for (x in column.from until column.to) {
            val to = ((y - row.from) * photo.width + x) * channels
            val at = ((y - top) * photo.width + x) * channels
            for (c in 0..2) {
                val value = enhanced[output.layout.index(y - row.origin, x - column.origin, c, tiling.tile, tiling.tile)]
                val before = (band[at + c].toInt() and 0xff) / 255f
                kept[to + c] = toUint8(blend(before, value, strength)).toByte()
            }
            if (channels == 4) kept[to + 3] = band[at + 3]
        }
    }
}
