package org.pocketdslr.app.presenter

import org.pocketdslr.core.Cancel
import org.pocketdslr.core.CancelledException
import java.util.concurrent.Executor

/** [report]: the finished report's JSON. */
data class BenchmarkState(
    val running: Boolean = false, val progress: Float = 0f, val report: String? = null, val failure: Failure? = null,
)

/** The benchmark screen without the screen. [measure] makes the JSON of a report. */
class BenchmarkPresenter(
    private val measure: (Cancel, (Float) -> Unit) -> String, private val background: Executor, private val main: Executor,
) {
    var state = BenchmarkState()
        private set
    private var show: (BenchmarkState) -> Unit = {}
    private var cancel = Cancel()

    fun attach(view: ((BenchmarkState) -> Unit)?) {
        show = view ?: {}
        show(state)
    }

    private fun change(next: BenchmarkState) {
        state = next
        show(next)
    }

    fun start() {
        if (state.running) return
        val mine = Cancel().also { cancel = it }
        change(BenchmarkState(running = true))
        background.execute {
            val done = runCatching {
                measure(mine) { share -> main.execute { if (!mine.isSet) change(state.copy(progress = share)) } }
            }
            main.execute {
                if (mine.isSet) return@execute
                done.onSuccess { change(BenchmarkState(report = it, progress = 1f)) }
                done.onFailure { if (it !is CancelledException) change(BenchmarkState(failure = Failure.of(it))) }
            }
        }
    }

    fun cancel() {
        cancel.set()
        change(BenchmarkState())
    }
}
