package org.pocketdslr.app

import android.content.ContentValues
import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import android.os.Build
import android.os.Environment
import android.provider.MediaStore
import org.pocketdslr.app.presenter.Desk
import org.pocketdslr.app.presenter.Finished
import org.pocketdslr.app.presenter.Preview
import org.pocketdslr.app.presenter.Unfinished
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.MemoryPixels
import org.pocketdslr.engine.Job
import org.pocketdslr.engine.PhotoEnhancer
import org.pocketdslr.engine.Thermal
import java.io.File
import java.io.FileNotFoundException
import java.io.OutputStream
import kotlin.math.roundToInt

/** Two bitmaps of one size. */
class BitmapPreview(val before: Bitmap, val after: Bitmap, override val device: String, override val notes: List<String>) : Preview

class FinishedJob(val job: Job, override val notes: List<String>) : Finished {
    override val hasLocation = job.hasLocation
}

/** The presenter's wishes on a phone. Calls come one at a time, from a background thread. */
class AndroidDesk(private val context: Context, private val models: Models, private val device: PhoneDevice) : Desk {
    private val resolver = context.contentResolver
    private val jobFolder = File(context.cacheDir, "job")
    private val shared = File(context.cacheDir, SharedFiles.FOLDER)
    private var job: Job? = null

    override fun preview(source: String, cancel: Cancel): Preview {
        val (before, notes) = smallPhoto(resolver, Uri.parse(source), PREVIEW_PX)
        val opened = models.engine()
        val enhancer = PhotoEnhancer(models.artifact().manifest, opened.engine)
        val after = MemoryPixels(before.height, before.width)
        enhancer.enhance(before, after, enhancer.condition(before, cancel), cancel = cancel)
        return BitmapPreview(bitmapOf(before), bitmapOf(after), opened.engine.device, notes + opened.notes)
    }

    override fun enhance(
        source: String, strengthPercent: Int, goOn: Boolean, cancel: Cancel, progress: (Float) -> Unit, heat: (Thermal) -> Unit,
    ): Finished {
        val artifact = models.artifact()
        val opened = models.engine()
        close()
        val left = if (goOn) Job.left(jobFolder, artifact) else null
        val current = left ?: RegionPhoto.open(resolver, Uri.parse(source)).use {
            Job.start(jobFolder, it, source, artifact, strengthPercent / 100.0, cancel)
        }
        job = current
        var hottest = Thermal.NOMINAL
        EnhanceService.start(context)
        try {
            current.run(artifact, opened.engine, cancel, progress) {
                // Wait between rows of tiles rather than be slowed down by force.
                while (true) {
                    val now = device.condition().thermal ?: Thermal.NOMINAL
                    hottest = maxOf(hottest, now)
                    heat(now)
                    if (now < Thermal.CRITICAL) break
                    cancel.check()
                    Thread.sleep(PAUSE_MS)
                }
            }
        } finally {
            EnhanceService.stop(context)
        }
        val warm = if (hottest >= Thermal.SERIOUS) listOf("the phone was hot (${hottest.word}); it may have been slower") else emptyList()
        return FinishedJob(current, current.notes + opened.notes + warm)
    }

    override fun unfinished(): Unfinished? = Job.left(jobFolder, models.artifact())?.use {
        Unfinished(it.source, (it.strength * 100).roundToInt())
    }

    override fun discard() {
        close()
        Job.delete(jobFolder)
    }

    private fun close() {
        job?.close()
        job = null
    }

    /** In the gallery where the system lets apps add to it without asking, else in the app's own folder of pictures. */
    override fun save(finished: Finished): String {
        val job = (finished as FinishedJob).job
        val name = "pocket-dslr-${System.currentTimeMillis()}.${if (job.isPng) "png" else "jpg"}"
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) {
            val folder = context.getExternalFilesDir(Environment.DIRECTORY_PICTURES) ?: context.filesDir
            return File(folder, name).also { write(it, job, withoutLocation = false) }.path
        }
        val values = ContentValues().apply {
            put(MediaStore.Images.Media.DISPLAY_NAME, name)
            put(MediaStore.Images.Media.MIME_TYPE, if (job.isPng) "image/png" else "image/jpeg")
            put(MediaStore.Images.Media.RELATIVE_PATH, "${Environment.DIRECTORY_PICTURES}/Pocket DSLR")
            put(MediaStore.Images.Media.IS_PENDING, 1)
        }
        val target = resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values) ?: throw FileNotFoundException(name)
        try {
            val out = resolver.openOutputStream(target) ?: throw FileNotFoundException(name)
            out.buffered(BUFFER_BYTES).use { job.encode(it, withoutLocation = false) }
            resolver.update(target, ContentValues().apply { put(MediaStore.Images.Media.IS_PENDING, 0) }, null, null)
        } catch (error: Throwable) {
            resolver.delete(target, null, null) // nothing half written stays in the gallery
            throw error
        }
        return "${Environment.DIRECTORY_PICTURES}/Pocket DSLR/$name"
    }

    override fun share(finished: Finished, withoutLocation: Boolean): String {
        val job = (finished as FinishedJob).job
        shared.deleteRecursively()
        shared.mkdirs()
        val file = File(shared, "photo.${if (job.isPng) "png" else "jpg"}")
        write(file, job, withoutLocation)
        return SharedFiles.uri(file.name).toString()
    }

    private fun write(file: File, job: Job, withoutLocation: Boolean) {
        try {
            file.outputStream().buffered(BUFFER_BYTES).use { out: OutputStream -> job.encode(out, withoutLocation) }
        } catch (error: Throwable) {
            file.delete()
            throw error
        }
    }

    private companion object {
        const val PREVIEW_PX = 1600
        const val PAUSE_MS = 1000L
        const val BUFFER_BYTES = 1 shl 16
    }
}
