package org.pocketdslr.app

import android.app.Activity
import android.os.Bundle
import android.widget.RadioButton
import android.widget.RadioGroup
import android.widget.TextView
import org.pocketdslr.app.presenter.Failure

/** The models in the app: which one is used, its licence, size, self-test and card. */
class ModelsActivity : Activity() {
    private val app get() = application as PocketApp

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.models)
        val group = findViewById<RadioGroup>(R.id.choices)
        val names = app.models.names()
        names.forEachIndexed { at, name ->
            group.addView(RadioButton(this).apply { id = at + 1; text = name })
        }
        group.check(names.indexOf(app.models.chosen) + 1)
        show(app.models.chosen)
        group.setOnCheckedChangeListener { _, id ->
            app.models.chosen = names[id - 1]
            show(names[id - 1])
            app.photo.modelChanged()
        }
    }

    private fun show(name: String) {
        findViewById<TextView>(R.id.facts).text = try {
            val manifest = app.models.artifact(name).manifest
            getString(R.string.model_facts, manifest.licence, manifest.modelBytes / 1000, manifest.precision.name.lowercase())
        } catch (error: Exception) {
            getString(MainActivity.FAILURES.getValue(Failure.of(error)))
        }
        findViewById<TextView>(R.id.card).text = runCatching { app.models.card(name) }.getOrDefault("")
    }
}
