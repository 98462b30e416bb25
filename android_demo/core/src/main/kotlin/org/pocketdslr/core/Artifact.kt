package org.pocketdslr.core

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder.LITTLE_ENDIAN

/** A converted model on disk, of which every listed file was checked. */
class Artifact private constructor(val folder: File, val manifest: Manifest) {

    fun file(path: String) = File(folder, path)

    /** A golden tensor: raw little-endian float32. */
    fun floats(path: String): FloatArray {
        val bytes = file(path).readBytes()
        return FloatArray(bytes.size / 4).also { ByteBuffer.wrap(bytes).order(LITTLE_ENDIAN).asFloatBuffer().get(it) }
    }

    companion object {
        const val MANIFEST = "manifest.json"
        const val CHECKSUM = "manifest.json.sha256"

        /** Raises [ArtifactException]: something is missing, damaged or not of this release. */
        fun open(folder: File): Artifact {
            val path = File(folder, MANIFEST)
            if (!path.isFile) refuse(Refusal.FILE_MISSING, "$path: no such file; copy the artifact again")
            if (path.length() > Manifest.BYTES_MAX) refuse(Refusal.TOO_LARGE, "$path: larger than any manifest")
            val text = path.readBytes()
            val manifest = Manifest.parse(text)
            val noted = File(folder, CHECKSUM).takeIf { it.isFile }?.readText()
            if (noted != "${sha256(text)}  $MANIFEST\n") {
                refuse(Refusal.MANIFEST_CHANGED, "$path: differs from its checksum; copy the artifact again")
            }
            manifest.files.forEach { check(folder, it) }
            return Artifact(folder, manifest)
        }

        private fun check(folder: File, listed: ModelFile) {
            val whole = File(folder, listed.path)
            val inside = if (whole.isDirectory) whole.walk().filter { !it.isDirectory }.toList() else listOf(whole)
            for (file in inside) if (!file.isFile || !isInside(folder, file)) {
                refuse(Refusal.FILE_MISSING, "$file: missing; copy the artifact again")
            }
            val sum = if (!whole.isDirectory) sha256(whole) else sha256(
                inside.map { "${it.relativeTo(whole).invariantSeparatorsPath}\u0000${sha256(it)}\n".toByteArray() }
                    .sortedWith(java.util.Arrays::compareUnsigned).fold(ByteArray(0), ByteArray::plus),
            )
            if (inside.sumOf { it.length() } != listed.bytes || sum != listed.sha256) {
                refuse(Refusal.FILE_CHANGED, "$whole: differs from its checksum; copy the artifact again")
            }
        }

        private fun isInside(folder: File, file: File) = try {
            file.canonicalFile.startsWith(folder.canonicalFile)
        } catch (error: IOException) {
            false
        }
    }
}
