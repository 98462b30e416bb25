package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Format
import java.io.Closeable

/**
 * Runs the two entry points of an artifact. Tensors are flat, in shape and layout of the manifest; images in [0, 1].
 *
 * One call at a time. Failures are [EngineException].
 */
interface Engine : Closeable {
    /** What does the work, as asked by the runtime itself where it tells: "CPU, XNNPACK". */
    val device: String

    /** Once per photo: the thumbnail to the condition, a tensor for each output. */
    fun analyze(thumbnail: FloatArray): List<FloatArray>

    /** One tile under a condition. The array may be used again by the next call. */
    fun enhance(tile: FloatArray, condition: List<FloatArray>): FloatArray
}

/** A runtime that is not in this app, does not take the model, or failed at work. */
class EngineException(message: String, cause: Throwable? = null) : RuntimeException(message, cause)

enum class Accelerator { CPU, GPU }

/** One way to run artifacts of a format. */
interface Backend {
    val name: String
    val format: Format

    /** Raises [EngineException]. */
    fun open(artifact: Artifact, accelerator: Accelerator, threads: Int): Engine
}
