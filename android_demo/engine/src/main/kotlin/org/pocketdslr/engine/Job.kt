package org.pocketdslr.engine

import org.pocketdslr.core.Artifact
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.Exif
import org.pocketdslr.core.FilePixels
import org.pocketdslr.core.JsonReader
import org.pocketdslr.core.canonicalJson
import org.pocketdslr.core.sha256
import org.pocketdslr.core.writeJpeg
import org.pocketdslr.core.writePng
import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.OutputStream

/**
 * The enhancement of one photo in a folder of its own, from which it goes on after the process died.
 *
 * The folder holds the upright pixels, the result so far, and `job.json`, which is replaced after each row of tiles.
 */
class Job private constructor(private val folder: File, private val facts: Facts) : Closeable {
    private data class Facts(
        val source: String, val artifact: String, val strength: Double, val height: Int, val width: Int, val channels: Int,
        val notes: List<String>, val rowsDone: Int,
    )

    private val photo = FilePixels(File(folder, PHOTO), facts.height, facts.width, facts.channels)
    private val result = FilePixels(File(folder, RESULT), facts.height, facts.width, facts.channels)
    private var rowsDone = facts.rowsDone

    val source get() = facts.source
    val strength get() = facts.strength
    val notes get() = facts.notes
    val height get() = facts.height
    val width get() = facts.width
    val isDone get() = rowsDone == facts.height

    /** Photos with transparency are kept as PNG. */
    val isPng get() = facts.channels == 4

    val hasLocation get() = exif()?.hasLocation == true

    /**
     * Enhance what is not yet enhanced.
     *
     * @param afterRow called after each row of tiles, the place to wait while the device is hot
     */
    fun run(
        artifact: Artifact, engine: Engine, cancel: Cancel = Cancel(), progress: (Float) -> Unit = {}, afterRow: () -> Unit = {},
    ) {
        val enhancer = PhotoEnhancer(artifact.manifest, engine)
        val condition = enhancer.condition(photo, cancel)
        enhancer.enhance(photo, result, condition, strength.toFloat(), rowsDone, cancel, progress) { rows ->
            result.flush()
            rowsDone = rows
            save(folder, facts.copy(rowsDone = rows))
            afterRow()
        }
    }

    /** The finished photo as a file, EXIF kept but for what [withoutLocation] takes out. */
    fun encode(out: OutputStream, withoutLocation: Boolean, cancel: Cancel = Cancel()) {
        check(isDone) { "the photo is not enhanced yet" }
        if (isPng) return writePng(result, out, cancel)
        val upright = exif()?.upright(facts.height, facts.width)
        writeJpeg(result, out, exif = (if (withoutLocation) upright?.withoutLocation() else upright)?.block, cancel = cancel)
    }

    private fun exif(): Exif? = File(folder, EXIF).takeIf { it.isFile }?.let { Exif(it.readBytes()) }

    override fun close() {
        photo.close()
        result.close()
    }

    companion object {
        private const val PHOTO = "photo.raw"
        private const val RESULT = "result.raw"
        private const val EXIF = "exif"
        private const val FACTS = "job.json"
        private const val SPARE_BYTES = 64L shl 20 // for the encoded photo and everyone else

        /** Take over the pixels of a photo. Nothing is left in [folder] when it fails.
         *
         * Raises IOException: the disk is full, or the photo cannot be read to its end. */
        fun start(
            folder: File, stored: StoredPhoto, source: String, artifact: Artifact, strength: Double, cancel: Cancel = Cancel(),
        ): Job {
            delete(folder)
            folder.mkdirs()
            try {
                val bytes = stored.height.toLong() * stored.width * stored.channels
                if (folder.usableSpace < 2 * bytes + SPARE_BYTES) throw IOException("ENOSPC: ${2 * bytes shr 20} MB are needed")
                val (height, width) = stored.uprightHeight to stored.uprightWidth
                FilePixels(File(folder, PHOTO), height, width, stored.channels).use {
                    copyUpright(stored, it, cancel)
                    it.flush()
                }
                stored.exif?.let { File(folder, EXIF).writeBytes(it.block) }
                val facts = Facts(source, sumOf(artifact), strength, height, width, stored.channels, stored.notes, 0)
                save(folder, facts)
                return Job(folder, facts)
            } catch (error: Throwable) {
                delete(folder)
                throw error
            }
        }

        /** The job that an earlier process left; null where there is none, or another model was to do it. */
        fun left(folder: File, artifact: Artifact): Job? {
            val facts = runCatching { read(File(folder, FACTS).readText()) }.getOrNull() ?: return null
            val bytes = facts.height.toLong() * facts.width * facts.channels
            val whole = listOf(PHOTO, RESULT).all { File(folder, it).length() == bytes }
            return if (whole && facts.artifact == sumOf(artifact)) Job(folder, facts) else null
        }

        fun delete(folder: File) = folder.deleteRecursively()

        private fun sumOf(artifact: Artifact) = sha256(artifact.file(Artifact.MANIFEST))

        private fun save(folder: File, facts: Facts) {
            val partial = File(folder, "$FACTS.part")
            partial.writeText(
                canonicalJson(
                    mapOf(
                        "source" to facts.source, "artifact" to facts.artifact, "strength" to facts.strength,
                        "height" to facts.height, "width" to facts.width, "channels" to facts.channels,
                        "notes" to facts.notes, "rows_done" to facts.rowsDone,
                    ),
                ),
            )
            if (!partial.renameTo(File(folder, FACTS))) throw IOException("$partial cannot be renamed")
        }

        private fun read(text: String): Facts {
            val record = JsonReader.read(text) as Map<*, *>
            fun int(name: String) = (record[name] as Long).toInt()
            return Facts(
                record["source"] as String, record["artifact"] as String, record["strength"] as Double, int("height"),
                int("width"), int("channels"), (record["notes"] as List<*>).map { it as String }, int("rows_done"),
            )
        }
    }
}
