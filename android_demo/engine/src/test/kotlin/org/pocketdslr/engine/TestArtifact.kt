package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.sha256
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder.LITTLE_ENDIAN

/** An artifact without a model, for engines that live in tests: its golden pair is what [GreyLevelEngine] computes. */
object TestArtifact {
    fun make(
        folder: File, tilePx: Int = 64, haloPx: Int = 16, alignPx: Int = 4, border: String = "clamp", thumbnailPx: Int = 8,
        reach: Int = 16, format: String = "executorch", layout: String = "NCHW",
    ): Artifact {
        File(folder, "golden").mkdirs()
        fun shape(px: Int) = if (layout == "NCHW") listOf(1, 3, px, px) else listOf(1, px, px, 3)
        val engine = GreyLevelEngine(tilePx, thumbnailPx, reach)
        val thumbnail = FloatArray(thumbnailPx * thumbnailPx * 3) { it % 256 / 255f }
        val tile = FloatArray(tilePx * tilePx * 3) { it * 7 % 256 / 255f }
        val condition = engine.analyze(thumbnail)[0]
        val tensors = mapOf(
            "thumbnail" to thumbnail, "shift" to condition, "tile" to tile, "output" to engine.enhance(tile, listOf(condition)),
        )
        val files = tensors.map { (name, values) ->
            val bytes = ByteBuffer.allocate(4 * values.size).order(LITTLE_ENDIAN).apply { asFloatBuffer().put(values) }.array()
            File(folder, "golden/$name.f32").writeBytes(bytes)
            fileJson("golden/$name.f32", bytes)
        } + fileJson("model.bin", byteArrayOf(1)).also { File(folder, "model.bin").writeBytes(byteArrayOf(1)) }
        fun tensor(name: String, shape: List<Int>, image: Boolean) =
            """{"name": "$name", "shape": $shape, "dtype": "float32", "layout": "${if (image) layout else "NCHW"}",
            "range": ${if (image) "[0.0, 1.0]" else "null"}, "channel_order": ${if (image) "\"RGB\"" else "null"}}"""
        val shift = tensor("shift", listOf(1, 3, 1, 1), false)
        val sum = "0".repeat(64)
        val manifest = """{"schema_version": 1, "name": "grey-levels", "format": "$format", "target": "xnnpack",
            "precision": "fp32", "quantization": null, "files": [${files.joinToString()}], "entry_points": [
            {"name": "analyze", "file": "model.bin", "function": "analyze",
             "inputs": [${tensor("thumbnail", shape(thumbnailPx), true)}], "outputs": [$shift]},
            {"name": "enhance", "file": "model.bin", "function": "enhance",
             "inputs": [${tensor("tile", shape(tilePx), true)}, $shift], "outputs": [${tensor("output", shape(tilePx), true)}]}],
            "thumbnail_px": $thumbnailPx, "tiling": {"tile_px": $tilePx, "halo_px": $haloPx, "align_px": $alignPx,
            "border": "$border"}, "colour": "sRGB, encoded", "delegation": {"analyze": null, "enhance": null},
            "golden": {"thumbnail": "golden/thumbnail.f32", "condition": ["golden/shift.f32"], "tile": "golden/tile.f32",
            "output": "golden/output.f32", "tolerance_psnr_db": 50.0}, "fidelity": null, "conversion_s": 0,
            "source": {"name": "none", "sha256": "$sum", "generator": "none", "config": {}}, "tools": {"none": "1"},
            "licence": "none"}"""
        File(folder, Artifact.MANIFEST).writeText(manifest)
        File(folder, Artifact.CHECKSUM).writeText("${sha256(manifest.toByteArray())}  manifest.json\n")
        return Artifact.open(folder)
    }

    private fun fileJson(path: String, bytes: ByteArray) =
        """{"path": "$path", "sha256": "${sha256(bytes)}", "bytes": ${bytes.size}}"""
}

/** The engine of whole grey levels of `conversion/contract/SPEC.md`, NCHW. */
open class GreyLevelEngine(private val tilePx: Int, private val thumbnailPx: Int, private val reach: Int) : Engine {
    override val device = "grey levels"
    var calls = 0
    var closed = false

    private fun level(value: Float) = Math.round(value * 255)

    override fun analyze(thumbnail: FloatArray): List<FloatArray> {
        val plane = thumbnailPx * thumbnailPx
        return listOf(FloatArray(3) { c -> ((0 until plane).sumOf { level(thumbnail[c * plane + it]) } % 256).toFloat() })
    }

    override fun enhance(tile: FloatArray, condition: List<FloatArray>): FloatArray {
        calls++
        fun at(c: Int, y: Int, x: Int) =
            if (y in 0 until tilePx && x in 0 until tilePx) level(tile[(c * tilePx + y) * tilePx + x]) else 0
        return FloatArray(tile.size) {
            val (c, y, x) = Triple(it / (tilePx * tilePx), it / tilePx % tilePx, it % tilePx)
            val around = at(c, y - reach, x) + at(c, y + reach, x) + at(c, y, x - reach) + at(c, y, x + reach)
            (4 * at(c, y, x) + around + condition[0][c].toInt()) % 256 / 255f
        }
    }

    override fun close() {
        closed = true
    }
}

/** Gives each tile back. */
class IdentityEngine(private val conditionSizes: List<Int> = emptyList()) : Engine {
    override val device = "identity"
    override fun analyze(thumbnail: FloatArray) = conditionSizes.map { FloatArray(it) }
    override fun enhance(tile: FloatArray, condition: List<FloatArray>) = tile
    override fun close() = Unit
}
