package org.pocketdslr.app.presenter

import org.pocketdslr.core.Cancel
import org.pocketdslr.core.CancelledException
import org.pocketdslr.engine.Thermal
import java.util.concurrent.Executor

enum class Phase { EMPTY, PREVIEWING, READY, ENHANCING, DONE, FAILED }

/** All that the photo screen shows. [progress] is the share done; [notes] are for the user, in words. */
data class PhotoState(
    val phase: Phase = Phase.EMPTY, val source: String? = null, val preview: Preview? = null, val strength: Int = 100,
    val progress: Float = 0f, val thermal: Thermal = Thermal.NOMINAL, val device: String = "", val notes: List<String> = emptyList(),
    val finished: Finished? = null, val failure: Failure? = null, val canContinue: Boolean = false, val savedAs: String? = null,
) {
    /** After a failure, too: a full disk can be emptied. */
    val canEnhance get() = phase == Phase.READY || phase == Phase.DONE || (phase == Phase.FAILED && preview != null)
    val canCancel get() = phase == Phase.PREVIEWING || phase == Phase.ENHANCING
    val canSave get() = phase == Phase.DONE && finished != null
}

/** A small photo before and after at full strength; what they are is the desk's business. */
interface Preview {
    val device: String
    val notes: List<String>
}

/** An enhanced photo, ready to be written. */
interface Finished {
    val notes: List<String>
    val hasLocation: Boolean
}

/** A photo whose enhancement an earlier process began. */
data class Unfinished(val source: String, val strengthPercent: Int)

/** What the presenter asks of the phone; every call may take long and may throw. */
interface Desk {
    fun preview(source: String, cancel: Cancel): Preview
    fun enhance(
        source: String, strengthPercent: Int, goOn: Boolean, cancel: Cancel, progress: (Float) -> Unit, heat: (Thermal) -> Unit,
    ): Finished
    fun unfinished(): Unfinished?
    fun discard()

    /** Where it went, for the user to read. */
    fun save(finished: Finished): String

    /** A link that other apps may read. */
    fun share(finished: Finished, withoutLocation: Boolean): String
}

/**
 * The photo screen without the screen: what was asked for, what is going on, what to show. It outlives the activity, so
 * turning the phone does not stop the work. All of its functions are called on the main thread.
 */
class PhotoPresenter(private val desk: Desk, private val background: Executor, private val main: Executor) {
    var state = PhotoState()
        private set
    private var show: (PhotoState) -> Unit = {}
    private var cancel = Cancel()

    /** An activity appears, or null when it goes. */
    fun attach(view: ((PhotoState) -> Unit)?) {
        show = view ?: {}
        show(state)
    }

    private fun change(next: PhotoState) {
        state = next
        show(next)
    }

    /** After a start of the app: is there something to go on with? */
    fun restore() = work({ desk.unfinished() }) { left ->
        if (left != null && state.phase == Phase.EMPTY) {
            change(state.copy(source = left.source, strength = left.strengthPercent, canContinue = true))
        }
    }

    fun choose(source: String) {
        cancel.set()
        val mine = Cancel().also { cancel = it }
        change(PhotoState(Phase.PREVIEWING, source, strength = state.strength))
        work({ desk.discard(); desk.preview(source, mine) }, mine) { preview ->
            change(state.copy(phase = Phase.READY, preview = preview, device = preview.device, notes = preview.notes))
        }
    }

    /** Another model: see the same photo again. */
    fun modelChanged() {
        state.source?.takeIf { state.phase != Phase.ENHANCING }?.let(::choose)
    }

    fun setStrength(percent: Int) {
        require(percent in 0..100) { "a strength lies between 0 and 100 %, not $percent" }
        if (state.phase == Phase.ENHANCING || percent == state.strength) return
        val back = if (state.phase == Phase.DONE) Phase.READY else state.phase
        change(state.copy(phase = back, strength = percent, finished = null, savedAs = null))
    }

    fun enhance(goOn: Boolean = false) {
        val source = state.source ?: return
        if (state.phase == Phase.ENHANCING) return
        val mine = Cancel().also { cancel = it }
        change(state.copy(phase = Phase.ENHANCING, progress = 0f, canContinue = false, failure = null, savedAs = null))
        fun report(next: (PhotoState) -> PhotoState) = main.execute {
            if (!mine.isSet && state.phase == Phase.ENHANCING) change(next(state))
        }
        val strength = state.strength
        work({
            desk.enhance(source, strength, goOn, mine, { share -> report { it.copy(progress = share) } }) { heat ->
                report { it.copy(thermal = heat) }
            }
        }, mine) { finished ->
            change(state.copy(phase = Phase.DONE, progress = 1f, finished = finished, notes = finished.notes))
        }
    }

    fun cancel() {
        cancel.set()
        val back = if (state.phase == Phase.ENHANCING && state.preview != null) Phase.READY else Phase.EMPTY
        change(if (back == Phase.READY) state.copy(phase = back, progress = 0f) else PhotoState(strength = state.strength))
        work({ desk.discard() }) {}
    }

    fun save() {
        val finished = state.finished ?: return
        work({ desk.save(finished) }) { change(state.copy(savedAs = it)) }
    }

    fun share(withoutLocation: Boolean, give: (String) -> Unit) {
        val finished = state.finished ?: return
        work({ desk.share(finished, withoutLocation) }, then = give)
    }

    private fun <T> work(what: () -> T, mine: Cancel? = null, then: (T) -> Unit) = background.execute {
        val done = runCatching(what)
        main.execute {
            if (mine?.isSet == true) return@execute
            done.onSuccess(then).onFailure { error ->
                if (error !is CancelledException) change(state.copy(phase = Phase.FAILED, failure = Failure.of(error)))
            }
        }
    }
}
