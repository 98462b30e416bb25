package org.pocketdslr.core

import java.io.File
import java.io.InputStream
import java.security.MessageDigest

fun sha256(bytes: ByteArray): String = hex(MessageDigest.getInstance("SHA-256").digest(bytes))

fun sha256(stream: InputStream): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val buffer = ByteArray(1 shl 16)
    while (true) {
        val read = stream.read(buffer)
        if (read < 0) break
        digest.update(buffer, 0, read)
    }
    return hex(digest.digest())
}

fun sha256(file: File): String = file.inputStream().use(::sha256)

private fun hex(bytes: ByteArray) = buildString {
    for (byte in bytes) {
        append(Character.forDigit(byte.toInt() shr 4 and 15, 16)).append(Character.forDigit(byte.toInt() and 15, 16))
    }
}
