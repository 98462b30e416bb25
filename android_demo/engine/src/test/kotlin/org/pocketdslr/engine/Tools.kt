package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Exif
import org.pocketdslr.core.FilePixels
import org.pocketdslr.core.Orientation
import org.pocketdslr.core.canonicalJson
import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File

/**
 * What the tests in Python call: the app's own path from stored pixels to a file.
 *
 * enhance ARTIFACT STORED HEIGHT WIDTH CHANNELS ORIENTATION STRENGTH JOB OUT EXIF|- [COMMAND OF A HOST RUNTIME...]
 * benchmark ARTIFACT OUT COMMAND...
 */
fun main(args: Array<String>) {
    when (args[0]) {
        "enhance" -> enhance(args.drop(1))
        "benchmark" -> benchmark(File(args[1]), File(args[2]), args.drop(3))
    }
}

private fun enhance(args: List<String>) {
    val artifact = Artifact.open(File(args[0]))
    val (height, width, channels, orientation) = args.subList(2, 6).map { it.toInt() }
    val pixels = FilePixels(File(args[1]), height, width, channels)
    val stored = object : StoredPhoto {
        override val height = height
        override val width = width
        override val channels = channels
        override val orientation = Orientation(orientation)
        override val exif = args[9].takeIf { it != "-" }?.let { File(it).inputStream().use(Exif::ofJpeg) }
        override val notes = emptyList<String>()
        override fun readRows(top: Int, rows: Int, into: ByteArray) = pixels.readRows(top, rows, into)
        override fun close() = pixels.close()
    }
    val engine = if (args.size > 10) HostRuntimeEngine(artifact, args.drop(10)) else
        IdentityEngine(artifact.manifest.analyze.outputs.map { it.values })
    Job.start(File(args[7]), stored, "photo", artifact, args[6].toDouble()).use { job ->
        engine.use { job.run(artifact, it) }
        File(args[8]).outputStream().buffered().use { job.encode(it, withoutLocation = false) }
        File(args[8] + ".no-location").outputStream().buffered().use { job.encode(it, withoutLocation = true) }
    }
}

private fun benchmark(artifactFolder: File, out: File, command: List<String>) {
    val artifact = Artifact.open(artifactFolder)
    val backend = object : Backend {
        override val name = "host"
        override val format = artifact.manifest.format
        override fun open(artifact: Artifact, accelerator: Accelerator, threads: Int) = HostRuntimeEngine(artifact, command)
    }
    val device = object : Device {
        override val name = "a phone that is none"
        override val cpu = "host"
        override val os = "Android 0"
        override val facts = mapOf("model" to "none")
        override fun condition() = Condition(Thermal.FAIR, 30.0, 80.5, false, null)
        override fun memoryMb() = null
        override fun date() = "2026-01-02T03:04:05Z"
        override fun sleep(seconds: Double) = Unit
        override fun nanoTime() = System.nanoTime()
    }
    out.writeText(Benchmark(device, artifact).run({ Backends(listOf(backend)).open(artifact) }, threads = 1, runs = 12))
}

/** A runtime of this machine in another process: `A` or `E`, then tensors in big-endian float32, back and forth. */
class HostRuntimeEngine(artifact: Artifact, command: List<String>) : Engine {
    private val manifest = artifact.manifest
    private val process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val to = DataOutputStream(process.outputStream.buffered(1 shl 20))
    private val from = DataInputStream(process.inputStream.buffered(1 shl 20))
    override val device = "host"

    override fun analyze(thumbnail: FloatArray) = call('A', listOf(thumbnail), manifest.analyze.outputs.map { it.values })

    override fun enhance(tile: FloatArray, condition: List<FloatArray>) =
        call('E', listOf(tile) + condition, listOf(manifest.enhance.outputs[0].values))[0]

    private fun call(what: Char, tensors: List<FloatArray>, sizes: List<Int>): List<FloatArray> {
        to.write(what.code)
        for (tensor in tensors) {
            val bytes = java.nio.ByteBuffer.allocate(4 * tensor.size).apply { asFloatBuffer().put(tensor) }.array()
            to.write(bytes)
        }
        to.flush()
        return sizes.map { size ->
            val bytes = ByteArray(4 * size).also { from.readFully(it) }
            FloatArray(size).also { java.nio.ByteBuffer.wrap(bytes).asFloatBuffer().get(it) }
        }
    }

    override fun close() {
        to.close()
        process.waitFor()
    }
}
