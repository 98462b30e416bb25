package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.Latency
import org.pocketdslr.core.Layout
import org.pocketdslr.core.Similarity
import org.pocketdslr.core.canonicalJson
import org.pocketdslr.core.index
import org.pocketdslr.core.percentile
import org.pocketdslr.core.sha256
import org.pocketdslr.core.summarize
import org.pocketdslr.core.toUint8

/** Android's thermal status in the words of a report: none, light, moderate, and severe or worse. */
enum class Thermal {
    NOMINAL, FAIR, SERIOUS, CRITICAL;

    val word get() = name.lowercase()

    companion object {
        fun ofStatus(status: Int) = entries[status.coerceIn(0, 3)]
    }
}

/** What the device says of itself at one moment; null where it does not tell. */
data class Condition(
    val thermal: Thermal?, val temperatureC: Double?, val batteryPercent: Double?, val charging: Boolean?,
    val lowPowerMode: Boolean?,
)

/** The device, for a report: nothing that identifies one device or its owner. */
interface Device {
    val name: String
    val cpu: String
    val os: String
    val facts: Map<String, String>

    fun condition(): Condition

    /** Resident memory of this process, 10^6 bytes; null where it is not told. */
    fun memoryMb(): Double?

    /** ISO 8601, UTC, whole seconds. */
    fun date(): String

    fun sleep(seconds: Double)

    fun nanoTime(): Long
}

/** Measures an artifact as `benchmarks/` does elsewhere, and writes the same report. */
class Benchmark(private val device: Device, private val artifact: Artifact) {
    private val manifest = artifact.manifest
    private val golden = manifest.golden

    /**
     * @param open loads the model anew; its time is the load time of the report
     * @return the canonical JSON of a report
     */
    fun run(
        open: () -> Opened, threads: Int, warmUpRuns: Int = 3, runs: Int = 50, coolDownS: Double = 2.0,
        cancel: Cancel = Cancel(), progress: (Float) -> Unit = {},
    ): String {
        val baseline = device.memoryMb()
        val loading = device.nanoTime()
        val opened = open()
        val loadMs = (device.nanoTime() - loading) / 1e6
        opened.engine.use { engine ->
            val thumbnail = artifact.floats(golden.thumbnail)
            val tile = artifact.floats(golden.tile)
            val condition = engine.analyze(thumbnail)
            repeat(warmUpRuns) { engine.enhance(tile, condition) }
            device.sleep(coolDownS)
            val before = device.condition()
            var step = 0
            fun times(call: () -> Unit) = DoubleArray(runs) {
                cancel.check()
                progress(step++.toFloat() / (2 * runs))
                val from = device.nanoTime()
                call()
                (device.nanoTime() - from) / 1e9
            }
            val analyze = summarize(times { engine.analyze(thumbnail) })
            val enhance = summarize(times { engine.enhance(tile, condition) })
            val after = device.condition()
            val memory = device.memoryMb()
            val fidelity = fidelity(engine.enhance(tile, condition))
            val target = target(engine, opened.notes)
            return canonicalJson(
                mapOf(
                    "schema_version" to 1, "artifact" to artifactFacts(), "target" to target,
                    "protocol" to mapOf(
                        "warm_up_runs" to warmUpRuns, "runs" to runs, "threads" to threads, "cool_down_s" to coolDownS,
                    ),
                    "timing" to mapOf(
                        "load_time_ms" to loadMs, "analyze" to analyze.figures(), "enhance_tile" to enhance.figures(),
                        "enhance_ms_per_megapixel" to enhance.p50Ms / keptPx * 1e6,
                    ),
                    "conditions" to conditions(before, after), "fidelity" to fidelity,
                    "verdict" to Verdict.judge(fidelity, enhance, before, after),
                    "instructions" to null, "sustained" to null, "whole_photos" to emptyList<Any>(),
                    "pictures" to emptyList<Any>(), "peak_memory_mb" to memory, "baseline_memory_mb" to baseline,
                    "tool_versions" to manifest.tools, "date" to device.date(),
                ),
            ) + "\n"
        }
    }

    private val keptPx = (manifest.tiling.tile - 2 * manifest.tiling.halo).let { it.toDouble() * it }

    private fun artifactFacts() = mapOf(
        "name" to manifest.name, "format" to manifest.format.name.lowercase(),
        "precision" to manifest.precision.name.lowercase(), "bytes" to manifest.modelBytes,
        "sha256" to manifest.files.associate { it.path to it.sha256 },
        "source_checkpoint_sha256" to manifest.sourceSha256, "tile_px" to manifest.tiling.tile,
        "halo_px" to manifest.tiling.halo, "delegated_nodes" to manifest.delegatedNodes,
        "total_nodes" to manifest.totalNodes,
    )

    private fun target(engine: Engine, notes: List<String>) = mapOf(
        "kind" to "physical", "name" to device.name, "cpu" to device.cpu, "os" to device.os,
        "compute_unit_asked" to if (notes.isEmpty()) engine.device else "GPU",
        "compute_unit_actual" to engine.device, "facts" to device.facts,
    )

    private fun conditions(before: Condition, after: Condition) = mapOf(
        "thermal_before" to before.thermal?.word, "thermal_after" to after.thermal?.word,
        "temperature_before_c" to before.temperatureC, "temperature_after_c" to after.temperatureC,
        "battery_before_percent" to before.batteryPercent, "battery_after_percent" to after.batteryPercent,
        "charging" to before.charging, "low_power_mode" to before.lowPowerMode,
    )

    private fun fidelity(output: FloatArray): Map<String, Any> {
        val px = manifest.tiling.tile
        val layout = manifest.enhance.outputs[0].layout
        val image = pixels(output, px, layout)
        val reference = pixels(artifact.floats(golden.output), px, layout)
        val similarity = Similarity(px, px)
        val psnr = psnrDb(image, reference)
        val ssim = similarity.ssim(image, reference)
        val deltaE = similarity.deltaE2000(image, reference)
        val shift = similarity.colourShift(image, reference)
        val bytes = ByteArray(image.size) { toUint8(image[it]).toByte() }
        return mapOf(
            "scope" to "golden tile", "reference_sha256" to manifest.sourceSha256, "psnr_db_mean" to psnr,
            "psnr_db_worst" to psnr, "psnr_db_mean_floor" to golden.tolerancePsnrDb,
            "psnr_db_worst_floor" to golden.tolerancePsnrDb, "ssim_mean" to ssim, "delta_e_2000_mean" to deltaE,
            "colour_shift_worst" to shift.maxOf { kotlin.math.abs(it) },
            "photos" to listOf(
                mapOf(
                    "photo" to "golden", "simulated" to true, "height_px" to px, "width_px" to px,
                    "output_sha256" to sha256(bytes), "psnr_db" to psnr, "ssim" to ssim, "delta_e_2000" to deltaE,
                    "colour_shift" to shift,
                ),
            ),
        )
    }

    /** Channels last, clamped. */
    private fun pixels(values: FloatArray, px: Int, layout: Layout) = FloatArray(values.size).also { out ->
        for (y in 0 until px) for (x in 0 until px) for (c in 0..2) {
            out[(y * px + x) * 3 + c] = values[layout.index(y, x, c, px, px)].coerceIn(0f, 1f)
        }
    }
}

/** What a report is worth, by the rules of `benchmarks/report/verdict.py`, which judges anew whatever comes from a phone. */
object Verdict {
    private const val RUNS_LEAST = 10
    private const val SPREAD_MOST = 0.5
    private const val DRIFT_MOST = 1.25

    fun judge(fidelity: Map<String, Any>, enhance: Latency, before: Condition, after: Condition): Map<String, Any> {
        val unfaithful = listOf("mean", "worst").filter {
            !(fidelity["psnr_db_$it"] as Double >= fidelity["psnr_db_${it}_floor"] as Double)
        }.map { "$it PSNR %.2f dB is below the floor".format(fidelity["psnr_db_$it"]) }
        val slow = ArrayList<String>()
        if (enhance.count < RUNS_LEAST) slow += "${enhance.count} timed runs are too few, $RUNS_LEAST are needed"
        if (enhance.relativeSpread > SPREAD_MOST) slow += "the runs spread by more than half of their median"
        if (drift(enhance.samplesMs) > DRIFT_MOST) slow += "the device slowed down during the runs"
        for ((state, moment) in listOf(before.thermal to "before", after.thermal to "after")) {
            if (state != null && state >= Thermal.SERIOUS) {
                slow += "the device was throttled: thermal state ${state.word} $moment the runs"
            }
        }
        if (before.lowPowerMode == true) slow += "the device was in low power mode"
        return mapOf(
            "fidelity" to if (unfaithful.isEmpty()) "pass" else "fail",
            "latency" to if (slow.isEmpty()) "valid" else "invalid", "reasons" to unfaithful + slow,
        )
    }

    private fun drift(samples: List<Double>): Double {
        val third = samples.size / 3
        if (third < 3) return 1.0
        return percentile(samples.takeLast(third).toDoubleArray(), 50) / percentile(samples.take(third).toDoubleArray(), 50)
    }
}
