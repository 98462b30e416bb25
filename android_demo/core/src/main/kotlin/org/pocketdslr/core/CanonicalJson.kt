package org.pocketdslr.core

import java.math.BigDecimal
import java.math.RoundingMode

/**
 * JSON as `benchmarks/report/record.py` writes it: keys sorted, two spaces of indent, floats in fixed point with six
 * decimals, so that equal reports are equal bytes. Double and Float are floats, Int and Long whole numbers.
 */
fun canonicalJson(value: Any?, indent: String = ""): String {
    val inner = "$indent  "
    return when (value) {
        is Double -> fixed(value)
        is Float -> fixed(value.toDouble())
        is Map<*, *> -> if (value.isEmpty()) "{}" else value.entries.sortedWith(BY_CODE_POINT).joinToString(
            ",\n", "{\n", "\n$indent}",
        ) { (key, item) -> "$inner${quoted(key as String)}: ${canonicalJson(item, inner)}" }
        is List<*> -> if (value.isEmpty()) "[]" else
            value.joinToString(",\n", "[\n", "\n$indent]") { inner + canonicalJson(it, inner) }
        is String -> quoted(value)
        null, is Boolean, is Int, is Long -> value.toString()
        else -> throw IllegalArgumentException("${value::class} has no place in a report")
    }
}

private fun fixed(value: Double): String {
    require(value.isFinite()) { "$value is not JSON" }
    val text = BigDecimal(value).setScale(6, RoundingMode.HALF_EVEN).toPlainString()
    return if (text == "-0.000000") "0.000000" else text
}

/** Python sorts by code point, the JVM by UTF-16 unit. */
private val BY_CODE_POINT = Comparator<Map.Entry<*, *>> { a, b ->
    val left = (a.key as String).codePoints().toArray()
    val right = (b.key as String).codePoints().toArray()
    val at = left.indices.firstOrNull { it >= right.size || left[it] != right[it] }
    when {
        at == null -> left.size - right.size
        at >= right.size -> 1
        else -> left[at] - right[at]
    }
}

/** ASCII only, as Python's `json.dumps`. */
private fun quoted(text: String) = buildString {
    append('"')
    for (char in text) when {
        char == '"' -> append("\\\"")
        char == '\\' -> append("\\\\")
        char == '\n' -> append("\\n")
        char == '\r' -> append("\\r")
        char == '\t' -> append("\\t")
        char == '\b' -> append("\\b")
        char == '\u000c' -> append("\\f")
        char < ' ' || char > '~' -> append("\\u").append(char.code.toString(16).padStart(4, '0'))
        else -> append(char)
    }
    append('"')
}
