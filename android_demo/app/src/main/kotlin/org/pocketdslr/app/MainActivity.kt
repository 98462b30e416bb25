package org.pocketdslr.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import android.widget.Button
import android.widget.ProgressBar
import android.widget.SeekBar
import android.widget.TextView
import org.pocketdslr.app.presenter.Failure
import org.pocketdslr.app.presenter.Phase
import org.pocketdslr.app.presenter.PhotoPresenter
import org.pocketdslr.app.presenter.PhotoState
import org.pocketdslr.engine.Thermal
import java.io.File

/** The photo screen: it shows the presenter's state and passes on what is touched. */
class MainActivity : Activity() {
    private val app get() = application as PocketApp
    private lateinit var presenter: PhotoPresenter

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.main)
        presenter = app.photo
        click(R.id.pick) { pick() }
        click(R.id.camera) { takePhoto() }
        click(R.id.enhance) { presenter.enhance(goOn = presenter.state.canContinue) }
        click(R.id.cancel) { presenter.cancel() }
        click(R.id.save) { presenter.save() }
        click(R.id.share) { share() }
        click(R.id.models) { startActivity(Intent(this, ModelsActivity::class.java)) }
        click(R.id.benchmark) { startActivity(Intent(this, BenchmarkActivity::class.java)) }
        findViewById<SeekBar>(R.id.strength).setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, value: Int, byUser: Boolean) {
                if (byUser) presenter.setStrength(value)
            }
            override fun onStartTrackingTouch(bar: SeekBar) = Unit
            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
        // Another app's photo, unless this is the same activity turned around.
        if (saved == null && intent.action == Intent.ACTION_SEND) {
            @Suppress("DEPRECATION")
            intent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM)?.let { presenter.choose(it.toString()) }
        }
    }

    override fun onStart() {
        super.onStart()
        presenter.attach(::show)
    }

    override fun onStop() {
        presenter.attach(null)
        super.onStop()
    }

    private fun click(id: Int, action: () -> Unit) = findViewById<Button>(id).setOnClickListener { action() }

    private fun pick() {
        val pick = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) Intent(MediaStore.ACTION_PICK_IMAGES)
        else Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        launch(pick.setType("image/*"), PICK)
    }

    private fun takePhoto() {
        File(cacheDir, SharedFiles.FOLDER).mkdirs()
        val target = SharedFiles.uri(CAMERA_FILE)
        val take = Intent(MediaStore.ACTION_IMAGE_CAPTURE).putExtra(MediaStore.EXTRA_OUTPUT, target)
        take.clipData = android.content.ClipData.newRawUri(null, target)
        launch(take.addFlags(Intent.FLAG_GRANT_WRITE_URI_PERMISSION or Intent.FLAG_GRANT_READ_URI_PERMISSION), CAMERA)
    }

    private fun launch(intent: Intent, code: Int) {
        try {
            @Suppress("DEPRECATION") // its successor is a library of its own
            startActivityForResult(intent, code)
        } catch (error: android.content.ActivityNotFoundException) {
            message(getString(R.string.no_app))
        }
    }

    @Deprecated("as startActivityForResult")
    override fun onActivityResult(code: Int, result: Int, data: Intent?) {
        if (result != RESULT_OK) return
        when (code) {
            PICK -> data?.data?.let { presenter.choose(it.toString()) }
            CAMERA -> presenter.choose(SharedFiles.uri(CAMERA_FILE).toString())
        }
    }

    private fun share() {
        val finished = presenter.state.finished ?: return
        if (!finished.hasLocation) return presenter.share(withoutLocation = false, ::give)
        AlertDialog.Builder(this).setTitle(R.string.location_title).setMessage(R.string.location_question)
            .setPositiveButton(R.string.location_remove) { _, _ -> presenter.share(withoutLocation = true, ::give) }
            .setNegativeButton(R.string.location_keep) { _, _ -> presenter.share(withoutLocation = false, ::give) }
            .show()
    }

    private fun give(link: String) {
        val uri = Uri.parse(link)
        val send = Intent(Intent.ACTION_SEND).setType(contentResolver.getType(uri)).putExtra(Intent.EXTRA_STREAM, uri)
        send.clipData = android.content.ClipData.newRawUri(null, uri)
        startActivity(Intent.createChooser(send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION), null))
    }

    internal fun show(state: PhotoState) {
        val preview = state.preview as BitmapPreview?
        findViewById<CompareView>(R.id.photo).show(preview?.before, preview?.after, state.strength)
        findViewById<SeekBar>(R.id.strength).apply {
            progress = state.strength
            isEnabled = state.phase != Phase.ENHANCING
        }
        findViewById<TextView>(R.id.strength_label).text = getString(R.string.strength, state.strength)
        findViewById<ProgressBar>(R.id.progress).apply {
            visibility = if (state.canCancel) View.VISIBLE else View.INVISIBLE
            isIndeterminate = state.phase == Phase.PREVIEWING
            progress = (state.progress * max).toInt()
        }
        findViewById<Button>(R.id.enhance).apply {
            visibility = if (state.canCancel) View.GONE else View.VISIBLE
            isEnabled = state.canEnhance || state.canContinue
            setText(if (state.canContinue) R.string.go_on else R.string.enhance)
        }
        findViewById<View>(R.id.cancel).visibility = if (state.canCancel) View.VISIBLE else View.GONE
        findViewById<View>(R.id.save).isEnabled = state.canSave
        findViewById<View>(R.id.share).isEnabled = state.canSave
        message(text(state))
    }

    private fun text(state: PhotoState): String {
        val first = when (state.phase) {
            Phase.EMPTY -> getString(if (state.canContinue) R.string.unfinished else R.string.empty)
            Phase.PREVIEWING -> getString(R.string.previewing)
            Phase.READY -> getString(R.string.ready, state.device)
            Phase.ENHANCING -> getString(R.string.enhancing_percent, (state.progress * 100).toInt())
            Phase.DONE -> state.savedAs?.let { getString(R.string.saved, it) } ?: getString(R.string.done)
            Phase.FAILED -> getString(FAILURES.getValue(state.failure ?: Failure.UNKNOWN))
        }
        val heat = if (state.phase == Phase.ENHANCING && state.thermal >= Thermal.SERIOUS) {
            listOf(getString(if (state.thermal == Thermal.CRITICAL) R.string.paused_hot else R.string.hot))
        } else {
            emptyList()
        }
        return (listOf(first) + heat + state.notes).joinToString("\n")
    }

    private fun message(text: String) {
        findViewById<TextView>(R.id.message).text = text
    }

    companion object {
        private const val PICK = 1
        private const val CAMERA = 2
        private const val CAMERA_FILE = "camera.jpg"
        val FAILURES = mapOf(
            Failure.PHOTO_GONE to R.string.failure_photo_gone, Failure.PHOTO_UNREADABLE to R.string.failure_photo_unreadable,
            Failure.DISK_FULL to R.string.failure_disk_full, Failure.MODEL_BROKEN to R.string.failure_model_broken,
            Failure.RUNTIME_FAILED to R.string.failure_runtime, Failure.MEMORY to R.string.failure_memory,
            Failure.UNKNOWN to R.string.failure_unknown,
        )
    }
}
