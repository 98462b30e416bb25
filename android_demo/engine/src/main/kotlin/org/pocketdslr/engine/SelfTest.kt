package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.pow

const val PSNR_CAP_DB = 120.0 // of equal images

/** Peak signal-to-noise ratio in dB of two images in [0, 1]; [image] is clamped first. NaN where a value is NaN. */
fun psnrDb(image: FloatArray, reference: FloatArray): Double {
    require(image.size == reference.size && image.isNotEmpty()) { "two images of one size are needed" }
    var sum = 0.0
    for (at in image.indices) {
        val difference = image[at].coerceIn(0f, 1f).toDouble() - reference[at]
        sum += difference * difference
    }
    val error = sum / image.size
    return if (error.isNaN()) Double.NaN else -10 * log10(max(error, 10.0.pow(-PSNR_CAP_DB / 10)))
}

/** What a runtime makes of the golden tile that every artifact carries. */
class SelfTest(private val artifact: Artifact) {
    private val golden = artifact.manifest.golden

    /** PSNR in dB against the float reference, the worse of two conditions: the golden one and the engine's own. */
    fun psnrDb(engine: Engine): Double {
        val tile = artifact.floats(golden.tile)
        val output = artifact.floats(golden.output)
        val conditions = listOf(golden.condition.map(artifact::floats), engine.analyze(artifact.floats(golden.thumbnail)))
        return conditions.map { psnrDb(engine.enhance(tile, it), output) }.reduce { a, b -> if (a <= b) a else b }
    }

    /** Raises [EngineException]: this device computes something else than it should, as some GPUs do. */
    fun require(engine: Engine) {
        val found = psnrDb(engine)
        if (!(found >= golden.tolerancePsnrDb)) throw EngineException(
            "self-test failed: %.1f dB, %.1f dB are needed".format(found, golden.tolerancePsnrDb),
        )
    }
}
