package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Dtype
import org.pocketdslr.core.Format
import org.pocketdslr.core.TensorSpec
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import java.nio.FloatBuffer

/** ExecuTorch: `.pte` with the methods analyze and enhance, on the CPU by XNNPACK. */
object ExecuTorchBackend : Backend {
    override val name = "ExecuTorch"
    override val format = Format.EXECUTORCH

    override fun open(artifact: Artifact, accelerator: Accelerator, threads: Int): Engine {
        if (accelerator != Accelerator.CPU) throw EngineException("this artifact was made for the CPU")
        return engineCall("load ${artifact.manifest.name}") { ExecuTorchEngine(artifact, threads) }
    }
}

private class ExecuTorchEngine(artifact: Artifact, threads: Int) : Engine {
    private val manifest = artifact.manifest
    private val module: Module
    private val inputs = HashMap<String, FloatBuffer>() // direct, so the runtime reads them without a copy

    init {
        require(manifest.enhance.inputs[0].dtype == Dtype.FLOAT32) { "ExecuTorch artifacts take float32" }
        val path = artifact.file(manifest.enhance.file).path
        module = Module.load(path, Module.LOAD_MODE_MMAP, threads)
        module.loadMethod(manifest.analyze.function)
        module.loadMethod(manifest.enhance.function)
    }

    override val device: String =
        "CPU, " + module.getMethodMetadata(manifest.enhance.function).backends.joinToString().ifEmpty { "portable kernels" }

    override fun analyze(thumbnail: FloatArray) = engineCall("analyze") {
        val outputs = module.execute(manifest.analyze.function, tensor(manifest.analyze.inputs[0], thumbnail))
        outputs.map { it.toTensor().dataAsFloatArray }
    }

    override fun enhance(tile: FloatArray, condition: List<FloatArray>) = engineCall("enhance") {
        val given = manifest.enhance.inputs.zip(listOf(tile) + condition).map { (spec, values) -> tensor(spec, values) }
        module.execute(manifest.enhance.function, *given.toTypedArray())[0].toTensor().dataAsFloatArray
    }

    private fun tensor(spec: TensorSpec, values: FloatArray): EValue {
        val buffer = inputs.getOrPut(spec.name) { Tensor.allocateFloatBuffer(spec.values) }
        buffer.clear()
        buffer.put(values).rewind()
        return EValue.from(Tensor.fromBlob(buffer, LongArray(spec.shape.size) { spec.shape[it].toLong() }))
    }

    override fun close() = module.close()
}

/** What runtimes throw, native ones included, as [EngineException]; a missing library is such a failure, too. */
internal inline fun <T> engineCall(what: String, call: () -> T): T = try {
    call()
} catch (error: EngineException) {
    throw error
} catch (error: LinkageError) {
    throw EngineException("the runtime is not in this app", error)
} catch (error: RuntimeException) {
    throw EngineException("$what failed: ${error.message}", error)
}
