package org.pocketdslr.core

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir
import java.io.File

/** Everything of `conversion/contract/vectors` but stitching, which needs an engine. */
class GoldenVectorsTest {
    @TestFactory
    fun pixels() = vectors("pixels") { it.check(testBytes(it.int("count"), it.any("seed") as Long)) }

    @TestFactory
    fun sums() = vectors("sha256") {
        assertEquals(it.text("sha256"), sha256(testBytes(it.int("count"), it.any("seed") as Long)))
    }

    @TestFactory
    fun thumbnails() = vectors("thumbnails") { case ->
        val (height, width) = case.int("height") to case.int("width")
        val sums = ThumbnailSums(height, width, case.int("rows"), case.int("columns"))
        val photo = case.photo()
        for (y in 0 until height) sums.addRow(photo, y * width * 3)
        case.check(sums.thumbnail())
    }

    @TestFactory
    fun tilePlans() = vectors("tile_plans") { case ->
        fun made() = plan(case.int("height"), case.int("width"), case.tiling())
        case.textOrNull("refused")?.let { why ->
            assertEquals(why, assertThrows(PlanException::class.java) { made() }.fault.name.lowercase())
            return@vectors
        }
        val tiles = made().map { listOf(it.top, it.left, it.y0, it.y1, it.x0, it.x1) }
        assertEquals(case.int("count"), tiles.size)
        if ("tiles" in case) assertEquals(case.list("tiles"), tiles.map { tile -> tile.map { it.toLong() } })
        assertEquals(case.text("sha256"), sha256(tiles.joinToString("") { it.joinToString(" ") + "\n" }.toByteArray()))
    }

    @TestFactory
    fun ownership() = vectors("ownership") { case ->
        val (height, width) = case.int("height") to case.int("width")
        val owners = IntArray(height * width) { -1 }
        plan(height, width, case.tiling()).forEachIndexed { number, tile ->
            for (y in tile.y0 until tile.y1) for (x in tile.x0 until tile.x1) {
                assertEquals(-1, owners[y * width + x])
                owners[y * width + x] = number
            }
        }
        case.check(bytesOf(owners), owners.toList())
    }

    @TestFactory
    fun rounding() = vectors("rounding") { assertEquals(it.int("uint8"), toUint8(it.float("float32"))) }

    @TestFactory
    fun blending() = vectors("blending") {
        val blended = blend(it.int("before") / 255f, it.float("enhanced"), it.float("strength"))
        assertEquals(it.text("blended"), "%08x".format(blended.toRawBits()))
        assertEquals(it.int("uint8"), toUint8(blended))
    }

    @TestFactory
    fun preview() = vectors("preview") { case ->
        fun numbers(name: String) = case.list(name).map { (it as Number).toFloat() }.toFloatArray()
        val smoothed = ColourTransform(numbers("shown"))
            .towards(ColourTransform(numbers("seen")), (case.any("elapsed_s") as Number).toDouble())
        assertArrayEquals(numbers("smoothed"), smoothed.numbers, 2e-5f)
        for ((pixel, expected) in case.list("pixels").zip(case.list("preview"))) {
            val (values, wanted) = listOf(pixel, expected).map { row ->
                (row as List<*>).map { (it as Number).toFloat() }.toFloatArray()
            }
            smoothed.apply(values)
            assertArrayEquals(wanted, values, 2e-5f)
        }
        val blocks = ColourTransform.of(FloatArray(72) { it.toFloat() }, FloatArray(6) { it + 1f })
        assertEquals(
            listOf(0, 1, 2, 6, 7, 8, 12, 13, 14, 36, 37, 38, 42, 43, 44, 48, 49, 50, 1, 2, 3),
            blocks.numbers.map(Float::toInt),
        )
        assertThrows(IllegalArgumentException::class.java) { ColourTransform.of(FloatArray(72), FloatArray(1)) }
    }

    @TestFactory
    fun packing() = vectors("packing") { case ->
        val (height, width, rowBytes) = listOf("height", "width", "row_bytes").map(case::int)
        val order = ByteOrder.valueOf(case.text("order"))
        val bytes = testBytes(height * rowBytes, case.any("seed") as Long)
        val planes = FloatArray(height * width * 3).also {
            unpackRgb(bytes, height, width, order, rowBytes, Layout.NCHW, it)
        }
        assertEquals(case.text("nchw_sha256"), sha256(bytesOf(planes)))
        val pixels = FloatArray(planes.size).also { unpackRgb(bytes, height, width, order, rowBytes, Layout.NHWC, it) }
        assertEquals(case.text("nhwc_sha256"), sha256(bytesOf(pixels)))
        assertEquals(case.list("first").map { floatOf(it as String) }, planes.take(3))
        for ((layout, values) in listOf(Layout.NCHW to planes, Layout.NHWC to pixels)) {
            val back = ByteArray(bytes.size) { 170.toByte() }
            val darker = FloatArray(values.size) { values[it] * 0.75f }
            packRgb(darker, height, width, order, rowBytes, layout, back)
            case.case("packed").check(back)
        }
    }

    @TestFactory
    fun orientation() = vectors("orientation") { case ->
        val (height, width) = case.int("height") to case.int("width")
        val orientation = Orientation.of(case.int("orientation"))
        val stored = bytesOf(IntArray(height * width) { it })
        val turned = upright(stored, height, width, 4, orientation)
        assertEquals(case.int("upright_height"), if (orientation.swaps) width else height)
        assertEquals(case.int("upright_width"), if (orientation.swaps) height else width)
        val values = turned.toList().chunked(4) { it.foldIndexed(0) { at, sum, byte -> sum or (byte.toInt() and 0xff shl 8 * at) } }
        case.check(turned, values)
    }

    @TestFactory
    fun percentiles() = vectors("percentiles") { case ->
        if ("samples_s" in case) {
            val latency = summarize(case.list("samples_s").map { doubleOf(it as String) }.toDoubleArray())
            assertEquals(case.text("latency").trimEnd(), canonicalJson(latency.figures()))
            return@vectors
        }
        val samples = DoubleArray(case.int("count"))
        testBytes(samples.size, case.any("seed") as Long).forEachIndexed { at, byte ->
            samples[at] = (byte.toInt() and 0xff) + 1.0
        }
        assertEquals((case.any("value") as Number).toDouble(), percentile(samples, case.int("percent")))
    }

    @TestFactory
    fun canonicalJson() = vectors("canonical_json") { case ->
        val value = when {
            "float64" in case -> doubleOf(case.text("float64"))
            "string" in case -> case.text("string")
            else -> JsonReader.read(case.text("document"))
        }
        assertEquals(case.text("text").trimEnd('\n'), canonicalJson(value))
    }

    @TestFactory
    fun manifests() = casesOf("manifests")[0].text("manifest").let { good ->
        vectors("manifests") { case ->
            val text = when {
                "brackets" in case -> "[".repeat(case.int("brackets")) + "]".repeat(case.int("brackets"))
                "replace" in case -> good.replace(case.text("replace"), case.text("by"))
                else -> good
            }
            refusedAs(case.textOrNull("refused")) { Manifest.parse(text.toByteArray()) }
        }
    }

    @TestFactory
    fun artifacts(@TempDir folder: File) = casesOf("artifacts")[0].let { good ->
        vectors("artifacts") { case ->
            folder.listFiles()!!.forEach { it.deleteRecursively() }
            val files = LinkedHashMap((good.any("files") as Map<*, *>))
            (case.any("change") as Map<*, *>?)?.let(files::putAll)
            for ((path, hex) in files) if (hex != null) {
                val file = File(folder, path as String).also { it.parentFile.mkdirs() }
                file.writeBytes((hex as String).chunked(2).map { it.toInt(16).toByte() }.toByteArray())
            }
            if ("spaces_after_manifest" in case) {
                File(folder, "manifest.json").appendText(" ".repeat(case.int("spaces_after_manifest")))
            }
            refusedAs(case.textOrNull("refused")) { Artifact.open(folder) }
        }
    }

    private fun refusedAs(refused: String?, open: () -> Any) {
        if (refused == null) {
            open()
        } else {
            assertEquals(refused, assertThrows(ArtifactException::class.java) { open() }.refusal.name.lowercase())
        }
    }
}
