package org.pocketdslr.core

import java.math.BigInteger

/** Why an artifact must not be run, in the classes of `conversion/contract/SPEC.md`. */
enum class Refusal {
    TOO_LARGE, SYNTAX, DUPLICATE_KEY, SCHEMA_VERSION, MISSING_FIELD, UNKNOWN_FIELD, PATH, FIELD,
    MANIFEST_CHANGED, FILE_MISSING, FILE_CHANGED,
}

/** An artifact that must not be run; the message says what is wrong with which file. */
class ArtifactException(val refusal: Refusal, message: String) : RuntimeException(message)

internal fun refuse(refusal: Refusal, message: String): Nothing = throw ArtifactException(refusal, message)

internal fun field(holds: Boolean, message: () -> String) {
    if (!holds) refuse(Refusal.FIELD, message())
}

/** A JSON object of which each field is read once, by name and type. */
internal class Fields(value: Any?, private val where: String, vararg names: String) {
    private val map: Map<*, *> = value as? Map<*, *> ?: refuse(Refusal.FIELD, "$where is no object")

    init {
        names.firstOrNull { it !in map }?.let { refuse(Refusal.MISSING_FIELD, "$where lacks $it") }
        map.keys.firstOrNull { it !in names }?.let { refuse(Refusal.UNKNOWN_FIELD, "$where has an unknown field $it") }
    }

    fun any(name: String) = map[name]

    fun text(name: String) = text(map[name], "$where.$name")

    fun textOrNull(name: String) = map[name]?.let { text(it, "$where.$name") }

    fun whole(name: String) = whole(map[name], "$where.$name")

    fun int(name: String): Int {
        val value = whole(name)
        field(value in Int.MIN_VALUE..Int.MAX_VALUE) { "$where.$name is $value" }
        return value.toInt()
    }

    fun number(name: String) = number(map[name], "$where.$name")

    fun numberOrNull(name: String) = map[name]?.let { number(it, "$where.$name") }

    fun list(name: String): List<Any?> = list(map[name], "$where.$name")

    fun texts(name: String) = list(name).map { text(it, "$where.$name") }

    /** A mapping whose keys are free. */
    fun mapping(name: String): Map<String, Any?> {
        val found = map[name] as? Map<*, *> ?: refuse(Refusal.FIELD, "$where.$name is no object")
        field(found.size <= ITEMS_MAX) { "$where.$name has ${found.size} items" }
        return found.entries.associate { (key, value) -> text(key, "$where.$name") to value }
    }

    inline fun <reified T : Enum<T>> choice(name: String): T {
        val text = text(name)
        return enumValues<T>().firstOrNull { it.name.equals(text, ignoreCase = true) && isSpelled(it, text) }
            ?: refuse(Refusal.FIELD, "$where.$name is $text")
    }

    /** NCHW, RGB are written as they are, the others in lower case. */
    fun isSpelled(value: Enum<*>, text: String) = text == if (value is Layout) value.name else value.name.lowercase()

    companion object {
        const val ITEMS_MAX = 1000 // of one list or mapping
        const val TEXT_MAX = 2000 // code points
        const val INTEGER_MAX = 1L shl 53 // what every JSON reader keeps exactly

        fun text(value: Any?, where: String): String {
            val text = value as? String ?: refuse(Refusal.FIELD, "$where is no text")
            val points = text.codePoints().toArray()
            field(points.size <= TEXT_MAX && points.all(::isPrintable)) { "$where is not printable or too long" }
            return text
        }

        private fun isPrintable(point: Int) = point == ' '.code || when (Character.getType(point).toByte()) {
            Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE,
            Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SPACE_SEPARATOR,
            -> false
            else -> true
        }

        fun whole(value: Any?, where: String): Long {
            field(value is Long && value > -INTEGER_MAX && value < INTEGER_MAX) { "$where is no integer" }
            return value as Long
        }

        fun number(value: Any?, where: String): Double {
            if (value is Long || value is BigInteger) return whole(value, where).toDouble()
            field(value is Double && value.isFinite()) { "$where is no number" }
            return value as Double
        }

        fun list(value: Any?, where: String): List<Any?> {
            val found = value as? List<*> ?: refuse(Refusal.FIELD, "$where is no list")
            field(found.size <= ITEMS_MAX) { "$where has ${found.size} items" }
            return found
        }
    }
}
