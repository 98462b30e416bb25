package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Dtype
import org.pocketdslr.core.EntryPoint
import org.pocketdslr.core.Format
import org.pocketdslr.core.TensorSpec
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.CompatibilityList
import org.tensorflow.lite.gpu.GpuDelegate
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * LiteRT (TensorFlow Lite): `.tflite` with the signatures analyze and enhance, on the CPU by XNNPACK or on the GPU.
 *
 * By the Interpreter API, which TensorFlow Lite 2.16 and LiteRT 1.x have in common.
 */
object LiteRtBackend : Backend {
    override val name = "LiteRT"
    override val format = Format.TFLITE

    override fun open(artifact: Artifact, accelerator: Accelerator, threads: Int): Engine =
        engineCall("load ${artifact.manifest.name}") { LiteRtEngine(artifact, accelerator, threads) }
}

private class LiteRtEngine(artifact: Artifact, accelerator: Accelerator, threads: Int) : Engine {
    private val manifest = artifact.manifest
    private val gpu: GpuDelegate? = if (accelerator == Accelerator.GPU) gpuDelegate() else null
    private val interpreter: Interpreter
    private val buffers = HashMap<String, ByteBuffer>()

    init {
        require(manifest.enhance.inputs[0].dtype == Dtype.FLOAT32) { "this app runs artifacts that take float32" }
        val options = Interpreter.Options().setNumThreads(threads)
        if (gpu != null) options.addDelegate(gpu) else options.setUseXNNPACK(true)
        interpreter = try {
            Interpreter(artifact.file(manifest.enhance.file), options)
        } catch (error: Throwable) {
            gpu?.close()
            throw error
        }
    }

    override val device = if (gpu != null) "GPU" else "CPU, XNNPACK"

    override fun analyze(thumbnail: FloatArray) = run(manifest.analyze, listOf(thumbnail))

    override fun enhance(tile: FloatArray, condition: List<FloatArray>) =
        run(manifest.enhance, listOf(tile) + condition).single()

    private fun run(point: EntryPoint, given: List<FloatArray>) = engineCall(point.name) {
        val inputs = point.inputs.zip(given).associate { (spec, values) ->
            spec.name to (floats(point, spec).also { it.put(values) }.let { buffer(point, spec) } as Any)
        }
        val outputs = point.outputs.associate { it.name to (buffer(point, it) as Any) }
        interpreter.runSignature(inputs, outputs, point.function)
        point.outputs.map { spec -> FloatArray(spec.values).also { floats(point, spec).get(it) } }
    }

    private fun buffer(point: EntryPoint, spec: TensorSpec): ByteBuffer = buffers.getOrPut("${point.name}.${spec.name}") {
        ByteBuffer.allocateDirect(4 * spec.values).order(ByteOrder.nativeOrder())
    }.apply { rewind() }

    private fun floats(point: EntryPoint, spec: TensorSpec): FloatBuffer = buffer(point, spec).asFloatBuffer()

    override fun close() {
        interpreter.close()
        gpu?.close()
    }
}

private fun gpuDelegate(): GpuDelegate {
    val supported = CompatibilityList().use { it.isDelegateSupportedOnThisDevice }
    if (!supported) throw EngineException("this device's GPU is not supported")
    return GpuDelegate()
}
