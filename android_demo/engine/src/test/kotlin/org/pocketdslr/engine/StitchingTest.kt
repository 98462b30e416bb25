package org.pocketdslr.engine

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir
import org.pocketdslr.core.Artifact
import org.pocketdslr.core.ArtifactException
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.CancelledException
import org.pocketdslr.core.Exif
import org.pocketdslr.core.JsonReader
import org.pocketdslr.core.MemoryPixels
import org.pocketdslr.core.Orientation
import org.pocketdslr.core.sha256
import org.pocketdslr.core.upright
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException

class MemoryPhoto(
    override val height: Int, override val width: Int, private val pixels: ByteArray, override val channels: Int = 3,
    override val orientation: Orientation = Orientation.UPRIGHT, override val exif: Exif? = null,
) : StoredPhoto {
    override val notes = listOf("a note")
    override fun readRows(top: Int, rows: Int, into: ByteArray) {
        pixels.copyInto(into, 0, top * width * channels, (top + rows) * width * channels)
    }
    override fun close() = Unit
}

/** As in `conversion/contract/SPEC.md`. */
fun testBytes(count: Int, seed: Long) = ByteArray(count) {
    var x = it * 2654435761L.toInt() + seed.toInt()
    x = (x xor (x ushr 15)) * 2246822519L.toInt()
    x = (x xor (x ushr 13)) * 3266489917L.toInt()
    (x ushr 24).toByte()
}

class StitchingTest {
    @TempDir
    lateinit var folder: File

    @TestFactory
    fun goldenVectors(): List<DynamicTest> {
        val text = File(System.getProperty("contract.vectors"), "stitching.json").readText()
        return ((JsonReader.read(text) as Map<*, *>)["cases"] as List<*>).mapIndexed { number, it ->
            val case = it as Map<*, *>
            fun int(name: String) = (case[name] as Long).toInt()
            DynamicTest.dynamicTest("stitching $number") {
                val artifact = TestArtifact.make(
                    File(folder, "$number"), int("tile_px"), int("halo_px"), int("align_px"), case["border"] as String,
                    int("thumbnail_px"), int("reach"),
                )
                val photo = MemoryPixels(
                    int("height"), int("width"), 3, testBytes(int("height") * int("width") * 3, case["seed"] as Long),
                )
                val engine = GreyLevelEngine(int("tile_px"), int("thumbnail_px"), int("reach"))
                val enhancer = PhotoEnhancer(artifact.manifest, engine)
                val condition = enhancer.condition(photo)
                assertEquals((case["condition"] as List<*>).map { (it as Long).toFloat() }, condition[0].toList())
                val result = MemoryPixels(photo.height, photo.width)
                enhancer.enhance(photo, result, condition)
                assertEquals(case["sha256"], sha256(result.bytes))
            }
        }
    }

    private fun artifact() = TestArtifact.make(File(folder, "artifact"))

    private fun engine() = GreyLevelEngine(64, 8, 16)

    private fun whole(photo: MemoryPhoto, strength: Double = 1.0, job: File = File(folder, "whole")): ByteArray {
        Job.start(job, photo, "photo", artifact(), strength).use {
            it.run(artifact(), engine())
            return File(job, "result.raw").readBytes()
        }
    }

    @Test
    fun `a job that died goes on from its last row of tiles to the same bytes`() {
        val photo = MemoryPhoto(150, 90, testBytes(150 * 90 * 3, 5))
        val expected = whole(photo)
        val job = File(folder, "job")
        val cancel = Cancel()
        Job.start(job, photo, "photo", artifact(), 1.0).use {
            assertThrows(CancelledException::class.java) { it.run(artifact(), engine(), cancel, afterRow = { cancel.set() }) }
        }
        val engine = engine()
        Job.left(job, artifact())!!.use {
            assertEquals("photo", it.source)
            it.run(artifact(), engine)
            assertTrue(it.isDone)
        }
        assertTrue(engine.calls < org.pocketdslr.core.plan(150, 90, artifact().manifest.tiling).size)
        assertArrayEquals(expected, File(job, "result.raw").readBytes())
    }

    @Test
    fun `another model does not go on with a job`() {
        val job = File(folder, "job")
        Job.start(job, MemoryPhoto(20, 20, testBytes(1200, 1)), "photo", artifact(), 1.0).close()
        assertEquals(null, Job.left(job, TestArtifact.make(File(folder, "other"), thumbnailPx = 4)))
        assertEquals(null, Job.left(File(folder, "none"), artifact()))
    }

    @Test
    fun `all orientations come out upright, in bands`() {
        val (height, width) = 300 to 7
        val pixels = testBytes(height * width * 3, 3)
        for (exif in 1..8) {
            val stored = MemoryPhoto(height, width, pixels, orientation = Orientation(exif))
            val copy = MemoryPixels(stored.uprightHeight, stored.uprightWidth).also { copyUpright(stored, it) }
            assertArrayEquals(upright(pixels, height, width, 3, Orientation(exif)), copy.bytes, "orientation $exif")
        }
    }

    @Test
    fun `strength 0 gives the photo back, and alpha is kept`() {
        val pixels = testBytes(70 * 65 * 4, 9)
        val photo = MemoryPhoto(70, 65, pixels, channels = 4)
        assertArrayEquals(pixels, whole(photo, strength = 0.0))
        val enhanced = whole(photo)
        for (at in 3 until pixels.size step 4) assertEquals(pixels[at], enhanced[at])
    }

    @Test
    fun `cancelling while a photo is taken over leaves no file`() {
        val job = File(folder, "job")
        val cancelled = Cancel().also { it.set() }
        assertThrows(CancelledException::class.java) {
            Job.start(job, MemoryPhoto(9, 9, testBytes(243, 1)), "photo", artifact(), 1.0, cancelled)
        }
        assertTrue(!job.exists())
    }

    @Test
    fun `a photo that breaks off leaves no file`() {
        val broken = object : StoredPhoto by MemoryPhoto(9, 9, testBytes(243, 1)) {
            override fun readRows(top: Int, rows: Int, into: ByteArray) = throw IOException("the photo ends early")
        }
        val job = File(folder, "job")
        assertThrows(IOException::class.java) { Job.start(job, broken, "photo", artifact(), 1.0) }
        assertTrue(!job.exists())
    }

    @Test
    fun `a GPU that computes nonsense gives way to the CPU, and the note says so`() {
        val wrong = object : GreyLevelEngine(64, 8, 16) {
            override fun enhance(tile: FloatArray, condition: List<FloatArray>) = FloatArray(tile.size) { Float.NaN }
        }
        val backend = object : Backend {
            override val name = "test"
            override val format = org.pocketdslr.core.Format.EXECUTORCH
            override fun open(artifact: Artifact, accelerator: Accelerator, threads: Int) =
                if (accelerator == Accelerator.GPU) wrong else engine()
        }
        val opened = Backends(listOf(backend)).open(artifact())
        assertEquals(1, opened.notes.size)
        assertTrue("GPU" in opened.notes[0] && "self-test failed" in opened.notes[0], opened.notes[0])
        assertTrue(wrong.closed)
        assertThrows(EngineException::class.java) { Backends(listOf(backend)).open(artifact(), listOf(Accelerator.GPU)) }
        assertThrows(EngineException::class.java) { Backends(emptyList()).open(artifact()) }
    }

    @Test
    fun `native runtimes that are absent are a typed failure`() {
        for (backend in listOf(ExecuTorchBackend, LiteRtBackend)) for (accelerator in Accelerator.entries) {
            assertThrows(EngineException::class.java) { backend.open(artifact(), accelerator, 1) }
        }
    }

    @Test
    fun `a damaged model is refused before a runtime sees it`() {
        artifact()
        File(folder, "artifact/model.bin").writeBytes(byteArrayOf(2))
        assertThrows(ArtifactException::class.java) { Artifact.open(File(folder, "artifact")) }
        File(folder, "artifact/model.bin").delete()
        assertThrows(ArtifactException::class.java) { Artifact.open(File(folder, "artifact")) }
    }

    @Test
    fun `the file begins as its format does`() {
        for (channels in listOf(3, 4)) {
            val job = File(folder, "encode$channels")
            Job.start(job, MemoryPhoto(30, 41, testBytes(30 * 41 * channels, 2), channels), "photo", artifact(), 0.5).use {
                it.run(artifact(), engine())
                val out = ByteArrayOutputStream().also { out -> it.encode(out, withoutLocation = false) }
                assertEquals(if (channels == 3) 0xff else 0x89, out.toByteArray()[0].toInt() and 0xff)
            }
        }
    }
}
