package org.pocketdslr.core

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

enum class Format { EXECUTORCH, TFLITE, COREML }

enum class Target { XNNPACK, VULKAN, COREML, LITERT, IOS17, IOS18 }

enum class Precision { FP32, FP16, W8, DYN8, W8A8, PAL6, PAL4 }

enum class Dtype { FLOAT32, UINT8 }

/** One input or output of an entry point. [range] of its values, null where they are not bounded. */
data class TensorSpec(
    val name: String, val shape: List<Int>, val dtype: Dtype, val layout: Layout, val range: Pair<Double, Double>?,
    val isRgb: Boolean,
) {
    val values get() = shape.fold(1) { product, side -> product * side }

    /** The shape with channels first. */
    val nchw get() = if (layout == Layout.NHWC) listOf(shape[0], shape[3], shape[1], shape[2]) else shape
}

/** [function]: the ExecuTorch method or the TFLite signature inside [file]. */
data class EntryPoint(
    val name: String, val file: String, val function: String, val inputs: List<TensorSpec>,
    val outputs: List<TensorSpec>,
)

data class ModelFile(val path: String, val sha256: String, val bytes: Long)

/** Paths of the self-test's tensors, and the PSNR in dB to which an output must agree. */
data class Golden(
    val thumbnail: String, val condition: List<String>, val tile: String, val output: String, val tolerancePsnrDb: Double,
)

/** All that an app must know of an artifact: what `conversion/artifact.py` writes, checked as strictly. */
data class Manifest(
    val name: String, val format: Format, val target: Target, val precision: Precision, val files: List<ModelFile>,
    val analyze: EntryPoint, val enhance: EntryPoint, val thumbnailPx: Int, val tiling: Tiling, val golden: Golden,
    val delegatedNodes: Long?, val totalNodes: Long?, val sourceName: String, val sourceSha256: String,
    val tools: Map<String, String>, val licence: String,
) {
    val modelBytes get() = files.filter { it.path == analyze.file || it.path == enhance.file }.sumOf { it.bytes }

    companion object {
        const val SCHEMA_VERSION = 1L
        const val BYTES_MAX = 1_000_000
        const val SIDE_PX_MAX = 4096
        const val VALUES_MAX = 1L shl 28

        /** Raises [ArtifactException] with the class of the first fault. */
        fun parse(bytes: ByteArray): Manifest {
            if (bytes.size > BYTES_MAX) refuse(Refusal.TOO_LARGE, "manifest.json is larger than any manifest")
            val record = try {
                JsonReader.read(Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString())
            } catch (error: CharacterCodingException) {
                refuse(Refusal.SYNTAX, "manifest.json is not UTF-8 text")
            } catch (error: JsonException) {
                refuse(if (error.duplicateKey) Refusal.DUPLICATE_KEY else Refusal.SYNTAX, "manifest.json: ${error.message}")
            }
            if ((record as? Map<*, *>)?.get("schema_version") != SCHEMA_VERSION) {
                refuse(Refusal.SCHEMA_VERSION, "manifest.json is of another release than this app")
            }
            return manifestOf(record).also(::checkWhole)
        }
    }
}

private val SHA256 = Regex("[0-9a-f]{64}")
private val NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
private val TENSOR_NAME = Regex("[A-Za-z_][A-Za-z0-9_]{0,63}")
private val DELEGATION = arrayOf("delegates", "delegated", "total", "exceptions")

private fun manifestOf(record: Any?): Manifest {
    val all = Fields(
        record, "manifest", "schema_version", "name", "format", "target", "precision", "quantization", "files",
        "entry_points", "thumbnail_px", "tiling", "colour", "delegation", "golden", "fidelity", "conversion_s",
        "source", "tools", "licence",
    )
    all.any("quantization")?.let(::checkQuantization)
    all.any("fidelity")?.let(::checkFidelity)
    all.number("conversion_s")
    field(all.text("colour") == "sRGB, encoded") { "manifest.colour is unknown" }
    val points = all.list("entry_points").map(::entryPointOf)
    field(points.map { it.name }.sorted() == listOf("analyze", "enhance")) { "entry_points must be analyze and enhance" }
    val nodes = all.mapping("delegation").mapValues { (name, value) -> value?.let { delegationOf(it, name) } }
    val source = Fields(all.any("source"), "source", "name", "sha256", "generator", "config")
    source.text("generator")
    source.mapping("config").forEach { (key, value) -> Fields.whole(value, "config.$key") }
    return Manifest(
        all.text("name"), all.choice("format"), all.choice("target"), all.choice("precision"),
        all.list("files").map(::fileOf), points.first { it.name == "analyze" }, points.first { it.name == "enhance" },
        all.int("thumbnail_px"), tilingOf(all.any("tiling")), goldenOf(all.any("golden")),
        nodes["enhance"]?.first, nodes["enhance"]?.second, source.text("name"), sha256Of(source, "sha256"),
        all.mapping("tools").mapValues { (key, value) -> Fields.text(value, "tools.$key") }, all.text("licence"),
    )
}

private fun sha256Of(fields: Fields, name: String) =
    fields.text(name).also { field(SHA256.matches(it)) { "${it.take(80)} is not a sha256" } }

private fun delegationOf(value: Any?, where: String): Pair<Long, Long> {
    val fields = Fields(value, "delegation.$where", *DELEGATION)
    fields.whole("delegates")
    fields.texts("exceptions")
    return fields.whole("delegated") to fields.whole("total")
}

private fun fileOf(value: Any?): ModelFile {
    val fields = Fields(value, "files", "path", "sha256", "bytes")
    val path = fields.any("path") as? String ?: refuse(Refusal.FIELD, "files.path is no text")
    val plain = path.split('/').none { it.isEmpty() || it == "." || it == ".." }
    if (!plain || path.any { it == '\\' || it == ':' || it < ' ' }) {
        refuse(Refusal.PATH, "${path.take(80)} is not a path inside the artifact")
    }
    val bytes = fields.whole("bytes")
    field(bytes in 0 until (1L shl 40)) { "$path: $bytes bytes is absurd" }
    return ModelFile(fields.text("path"), sha256Of(fields, "sha256"), bytes)
}

private fun entryPointOf(value: Any?): EntryPoint {
    val fields = Fields(value, "entry_points", "name", "file", "function", "inputs", "outputs")
    return EntryPoint(
        fields.text("name"), fields.text("file"), fields.text("function"), fields.list("inputs").map(::tensorOf),
        fields.list("outputs").map(::tensorOf),
    )
}

private fun tensorOf(value: Any?): TensorSpec {
    val fields = Fields(value, "tensor", "name", "shape", "dtype", "layout", "range", "channel_order")
    val name = fields.text("name")
    field(TENSOR_NAME.matches(name)) { "${name.take(80)} is not a tensor name" }
    val layout = fields.choice<Layout>("layout")
    val shape = fields.list("shape").map { Fields.whole(it, "$name.shape") }
    field(shape.size == layout.name.length) { "$name: shape $shape does not fit $layout" }
    var product = 1L
    for (side in shape) {
        field(side in 1..Manifest.VALUES_MAX) { "$name: shape $shape is absurd" }
        product *= side
        field(product <= Manifest.VALUES_MAX) { "$name: shape $shape is absurd" }
    }
    val range = fields.any("range")?.let { bounds ->
        val (low, high) = Fields.list(bounds, "$name.range").also { field(it.size == 2) { "$name.range has two ends" } }
        Fields.number(low, "$name.range") to Fields.number(high, "$name.range")
    }
    val dtype = fields.choice<Dtype>("dtype")
    field(dtype == Dtype.FLOAT32 || range == 0.0 to 255.0) { "$name: uint8 is 0 to 255" }
    val order = fields.textOrNull("channel_order")
    field(order == null || order == "RGB") { "$name.channel_order is $order" }
    return TensorSpec(name, shape.map { it.toInt() }, dtype, layout, range, order != null)
}

private fun tilingOf(value: Any?): Tiling {
    val fields = Fields(value, "tiling", "tile_px", "halo_px", "align_px", "border")
    val tiling = Tiling(fields.int("tile_px"), fields.int("halo_px"), fields.int("align_px"), fields.choice("border"))
    val (tile, halo, align) = tiling
    field(tile in 1..Manifest.SIDE_PX_MAX) { "a tile of $tile px is absurd" }
    field(align in 1..tile) { "an alignment of $align px is absurd" }
    field(halo >= 0 && 2L * halo < tile) { "a halo of $halo px is absurd" }
    field(tile % align == 0 && halo % align == 0) { "tile and halo must be multiples of align_px" }
    return tiling
}

private fun goldenOf(value: Any?): Golden {
    val fields = Fields(value, "golden", "thumbnail", "condition", "tile", "output", "tolerance_psnr_db")
    return Golden(
        fields.text("thumbnail"), fields.texts("condition"), fields.text("tile"), fields.text("output"),
        fields.number("tolerance_psnr_db"),
    )
}

private fun checkQuantization(value: Any) {
    val fields = Fields(
        value, "quantization", "weights", "activations", "analyze", "float_layers", "calibration_photos",
        "calibration_sha256",
    )
    listOf("weights", "activations", "analyze").forEach(fields::text)
    fields.texts("float_layers")
    fields.whole("calibration_photos")
    if (fields.any("calibration_sha256") != null) sha256Of(fields, "calibration_sha256")
}

private fun checkFidelity(value: Any) {
    val numbers = arrayOf(
        "psnr_mean_db", "psnr_worst_db", "enhance_psnr_mean_db", "enhance_psnr_worst_db", "delta_e_2000_mean",
        "colour_shift_worst",
    )
    val steps = arrayOf("border_step_mean_levels", "border_step_worst_levels")
    val fields = Fields(value, "fidelity", "photos", *numbers, *steps, "below_floor")
    fields.whole("photos")
    numbers.forEach(fields::number)
    steps.forEach(fields::numberOrNull)
    fields.textOrNull("below_floor")
}

/** What must fit between fields. */
private fun checkWhole(manifest: Manifest) = with(manifest) {
    field(NAME.matches(name)) { "${name.take(80)} is not an artifact name" }
    field(thumbnailPx in 1..Manifest.SIDE_PX_MAX) { "a thumbnail of $thumbnailPx px is absurd" }
    val sizes = files.associate { it.path to it.bytes }
    field(sizes.size == files.size) { "a file is listed twice" }
    val goldenPaths = listOf(golden.thumbnail, *golden.condition.toTypedArray(), golden.tile, golden.output)
    for (path in listOf(analyze.file, enhance.file) + goldenPaths) {
        field(path in sizes) { "${path.take(80)} is not listed in files" }
    }
    val thumbnail = listOf(1, 3, thumbnailPx, thumbnailPx)
    val tile = listOf(1, 3, tiling.tile, tiling.tile)
    field(analyze.inputs.map { it.nchw } == listOf(thumbnail)) { "analyze does not take the thumbnail" }
    field(enhance.outputs.map { it.nchw } == listOf(tile)) { "enhance does not give a tile" }
    field(enhance.inputs.map { it.nchw } == listOf(tile) + analyze.outputs.map { it.nchw }) {
        "enhance does not take a tile and the condition that analyze gives"
    }
    field(golden.condition.size == analyze.outputs.size) { "golden has not the condition of analyze" }
    val specs = analyze.inputs + analyze.outputs + enhance.inputs[0] + enhance.outputs
    for ((path, spec) in goldenPaths.zip(specs)) {
        field(sizes[path] == 4L * spec.values) { "$path is not ${spec.name} in float32" }
    }
}
