package org.pocketdslr.app

import android.content.Context
import org.pocketdslr.core.Artifact
import org.pocketdslr.core.ArtifactException
import org.pocketdslr.core.Manifest
import org.pocketdslr.engine.Backends
import org.pocketdslr.engine.ExecuTorchBackend
import org.pocketdslr.engine.LiteRtBackend
import org.pocketdslr.engine.Opened
import java.io.File
import java.io.IOException

/**
 * The artifacts in the app. They are copied out of the APK once, as runtimes map files, and checked whenever they are
 * opened; a damaged copy is made anew.
 */
class Models(private val context: Context) {
    private val folder = File(context.filesDir, ASSETS)
    private val settings = context.getSharedPreferences("models", Context.MODE_PRIVATE)
    private var open: Pair<String, Opened>? = null

    /** Robolectric lists what lies below, too: whole paths. */
    fun names(): List<String> = context.assets.list(ASSETS).orEmpty().map { it.substringBefore('/') }.distinct()

    var chosen: String
        get() = settings.getString("chosen", null)?.takeIf { it in names() } ?: names().firstOrNull() ?: ""
        set(name) = settings.edit().putString("chosen", name).apply()

    /** Raises [ArtifactException]: damaged in the APK itself; IOException: no space for the copy. */
    fun artifact(name: String = chosen): Artifact {
        val copy = File(folder, name)
        return try {
            Artifact.open(copy)
        } catch (error: ArtifactException) {
            copy.deleteRecursively()
            copyFromApk(name, copy)
            Artifact.open(copy)
        }
    }

    fun card(name: String): String = artifact(name).file(CARD).takeIf { it.isFile }?.readText() ?: ""

    /** The chosen model on the best device that passes its self-test, kept for the next call. */
    @Synchronized
    fun engine(): Opened {
        val name = chosen
        open?.let { (opened, engine) -> if (opened == name) return engine }
        open?.second?.engine?.close()
        open = null
        return newEngine().also { open = name to it }
    }

    /** Opened anew, for a benchmark; the caller closes it. */
    fun newEngine(): Opened = BACKENDS.open(artifact(), threads = THREADS)

    /** What the manifest in the APK lists, and nothing else. */
    private fun copyFromApk(name: String, target: File) {
        val manifest = context.assets.open("$ASSETS/$name/${Artifact.MANIFEST}").use { Manifest.parse(it.readBytes()) }
        for (path in listOf(Artifact.MANIFEST, Artifact.CHECKSUM) + manifest.files.map { it.path }) {
            val file = File(target, path)
            val folder = file.parentFile!!
            if (!folder.mkdirs() && !folder.isDirectory) throw IOException("ENOSPC: $folder cannot be made")
            context.assets.open("$ASSETS/$name/$path").use { source -> file.outputStream().use { source.copyTo(it) } }
        }
    }

    companion object {
        const val THREADS = 4 // the fast cores of most phones
        private const val ASSETS = "artifacts"
        private const val CARD = "MODEL_CARD.md"
        private val BACKENDS = Backends(listOf(ExecuTorchBackend, LiteRtBackend))
    }
}
