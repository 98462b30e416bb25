package org.pocketdslr.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder.LITTLE_ENDIAN

/** One case of a golden vector. */
class Case(private val fields: Map<*, *>) {
    operator fun contains(name: String) = name in fields
    fun any(name: String) = fields[name]
    fun int(name: String) = (fields[name] as Long).toInt()
    fun text(name: String) = fields[name] as String
    fun textOrNull(name: String) = fields[name] as String?
    fun case(name: String) = Case(fields[name] as Map<*, *>)
    fun list(name: String) = fields[name] as List<*>
    fun float(name: String) = floatOf(text(name))
    fun tiling() = Tiling(int("tile_px"), int("halo_px"), int("align_px"), Border.valueOf(text("border").uppercase()))

    /** The photo of a case, [height, width, 3]. */
    fun photo() = when {
        "white" in this -> ByteArray(int("height") * int("width") * 3) { -1 }
        else -> testBytes(int("height") * int("width") * 3, fields["seed"] as Long)
    }

    /** Compare with sha256, and with the values that are written out. */
    fun check(bytes: ByteArray, values: List<Number> = bytes.map { it.toInt() and 0xff }) {
        fun numbers(name: String) = (fields[name] as List<*>?)?.map { (it as Number).toLong() }
        val found = values.map { it.toLong() }
        numbers("values")?.let { assertEquals(it, found) }
        numbers("first")?.let { assertEquals(it, found.take(it.size)) }
        numbers("last")?.let { assertEquals(it, found.takeLast(it.size)) }
        assertEquals(text("sha256"), sha256(bytes))
    }

    override fun toString() = fields.entries.joinToString { (key, value) -> "$key=${value.toString().take(40)}" }.take(150)
}

fun floatOf(hex: String) = Float.fromBits(hex.toLong(16).toInt())

fun doubleOf(hex: String) = Double.fromBits(hex.toULong(16).toLong())

/** The test images of `conversion/contract/SPEC.md`. */
fun testBytes(count: Int, seed: Long) = ByteArray(count) {
    var x = it * 2654435761L.toInt() + seed.toInt()
    x = (x xor (x ushr 15)) * 2246822519L.toInt()
    x = (x xor (x ushr 13)) * 3266489917L.toInt()
    (x ushr 24).toByte()
}

fun bytesOf(values: IntArray): ByteArray =
    ByteBuffer.allocate(4 * values.size).order(LITTLE_ENDIAN).apply { asIntBuffer().put(values) }.array()

fun bytesOf(values: FloatArray): ByteArray =
    ByteBuffer.allocate(4 * values.size).order(LITTLE_ENDIAN).apply { asFloatBuffer().put(values) }.array()

fun casesOf(file: String): List<Case> {
    val folder = System.getProperty("contract.vectors") ?: error("set -Dcontract.vectors to the folder of golden vectors")
    val record = JsonReader.read(File(folder, "$file.json").readText()) as Map<*, *>
    return (record["cases"] as List<*>).map { Case(it as Map<*, *>) }
}

/** A test for each case. */
fun vectors(file: String, test: (Case) -> Unit): List<DynamicTest> =
    casesOf(file).mapIndexed { at, case -> DynamicTest.dynamicTest("$file $at: $case") { test(case) } }
