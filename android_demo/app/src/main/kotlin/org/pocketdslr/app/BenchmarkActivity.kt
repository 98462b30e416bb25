package org.pocketdslr.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.WindowManager
import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import org.pocketdslr.app.presenter.BenchmarkState
import java.io.File

/** Measures the chosen model on this phone and shares the report that `benchmarks/` reads. */
class BenchmarkActivity : Activity() {
    private val presenter get() = (application as PocketApp).benchmark

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.benchmark)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON) // a dark screen slows many phones down
        findViewById<Button>(R.id.start).setOnClickListener {
            if (presenter.state.running) presenter.cancel() else presenter.start()
        }
        findViewById<Button>(R.id.share).setOnClickListener { presenter.state.report?.let(::share) }
    }

    override fun onStart() {
        super.onStart()
        presenter.attach(::show)
    }

    override fun onStop() {
        presenter.attach(null)
        super.onStop()
    }

    private fun show(state: BenchmarkState) {
        findViewById<ProgressBar>(R.id.progress).apply { progress = (state.progress * max).toInt() }
        findViewById<Button>(R.id.start).setText(if (state.running) R.string.cancel else R.string.measure)
        findViewById<Button>(R.id.share).isEnabled = state.report != null
        findViewById<TextView>(R.id.report).text =
            state.failure?.let { getString(MainActivity.FAILURES.getValue(it)) } ?: state.report ?: getString(R.string.measure_hint)
    }

    private fun share(report: String) {
        val file = File(File(cacheDir, SharedFiles.FOLDER).also { it.mkdirs() }, "report.json")
        file.writeText(report)
        val uri = SharedFiles.uri(file.name)
        val send = Intent(Intent.ACTION_SEND).setType("application/json").putExtra(Intent.EXTRA_STREAM, uri)
        send.clipData = android.content.ClipData.newRawUri(null, uri)
        startActivity(Intent.createChooser(send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION), null))
    }
}
