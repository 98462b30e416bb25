package org.pocketdslr.core

/** What was read is not JSON, or has a key twice; says where. */
class JsonException(message: String, val duplicateKey: Boolean = false) : IllegalArgumentException(message)

/**
 * A strict reader: no key twice, no NaN, nothing after the value, at most [DEPTH_MAX] levels.
 *
 * Objects become Map, arrays List; numbers without fraction and exponent Long (BigInteger beyond), others Double.
 */
class JsonReader private constructor(private val text: String) {
    private var at = 0

    private fun fail(what: String): Nothing = throw JsonException("$what at character $at")

    private fun peek() = if (at < text.length) text[at] else fail("unexpected end")

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun expect(char: Char) {
        if (peek() != char) fail("expected '$char'")
        at++
    }

    private fun value(depth: Int): Any? {
        if (depth > DEPTH_MAX) fail("nested too deeply")
        skipSpace()
        return when (peek()) {
            '{' -> obj(depth)
            '[' -> array(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) fail("not JSON")
        at += word.length
        return value
    }

    private fun obj(depth: Int): Map<String, Any?> {
        expect('{')
        val found = LinkedHashMap<String, Any?>()
        skipSpace()
        if (peek() == '}') { at++; return found }
        while (true) {
            skipSpace()
            val key = string()
            skipSpace()
            expect(':')
            if (key in found) throw JsonException("a key occurs twice at character $at", duplicateKey = true)
            found[key] = value(depth + 1)
            skipSpace()
            if (peek() == '}') { at++; return found }
            expect(',')
        }
    }

    private fun array(depth: Int): List<Any?> {
        expect('[')
        val found = ArrayList<Any?>()
        skipSpace()
        if (peek() == ']') { at++; return found }
        while (true) {
            found += value(depth + 1)
            skipSpace()
            if (peek() == ']') { at++; return found }
            expect(',')
        }
    }

    private fun string(): String {
        expect('"')
        val out = StringBuilder()
        while (true) {
            val char = peek()
            at++
            when {
                char == '"' -> return out.toString()
                char < ' ' -> fail("a control character in a string")
                char != '\\' -> out.append(char)
                else -> out.append(escaped())
            }
        }
    }

    private fun escaped(): Char {
        val char = peek()
        at++
        return when (char) {
            '"', '\\', '/' -> char
            'b' -> '\b'
            'f' -> '\u000c'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> {
                val digits = if (at + 4 <= text.length) text.substring(at, at + 4) else fail("unexpected end")
                if (!HEX.matches(digits)) fail("a bad escape")
                at += 4
                digits.toInt(16).toChar()
            }
            else -> fail("a bad escape")
        }
    }

    private fun number(): Number {
        val found = NUMBER.matchAt(text, at)?.value ?: fail("not JSON")
        at += found.length
        val whole = found.none { it in ".eE" }
        return if (whole) found.toLongOrNull() ?: found.toBigInteger() else found.toDouble()
    }

    companion object {
        const val DEPTH_MAX = 64
        private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
        private val HEX = Regex("[0-9a-fA-F]{4}")

        fun read(text: String): Any? {
            val reader = JsonReader(text)
            val value = reader.value(0)
            reader.skipSpace()
            if (reader.at != text.length) reader.fail("something follows the value")
            return value
        }
    }
}
