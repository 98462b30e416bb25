package org.pocketdslr.app.presenter

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.pocketdslr.core.ArtifactException
import org.pocketdslr.core.Cancel
import org.pocketdslr.core.Refusal
import org.pocketdslr.engine.EngineException
import org.pocketdslr.engine.Thermal
import java.io.FileNotFoundException
import java.io.IOException
import java.util.concurrent.Executor

/** Runs what it was given when the test says so. */
class Later : Executor {
    private val waiting = ArrayDeque<Runnable>()
    override fun execute(task: Runnable) { waiting.addLast(task) }
    fun runAll() { while (waiting.isNotEmpty()) waiting.removeFirst().run() }
}

class FakeDesk : Desk {
    val calls = ArrayList<String>()
    var failure: Throwable? = null
    var left: Unfinished? = null
    var location = true

    private fun called(what: String) {
        calls += what
        failure?.let { throw it }
    }

    override fun preview(source: String, cancel: Cancel): Preview {
        called("preview $source")
        return object : Preview { override val device = "CPU"; override val notes = listOf("a note") }
    }

    override fun enhance(
        source: String, strengthPercent: Int, goOn: Boolean, cancel: Cancel, progress: (Float) -> Unit, heat: (Thermal) -> Unit,
    ): Finished {
        called("enhance $source $strengthPercent${if (goOn) " on" else ""}")
        progress(0.5f)
        heat(Thermal.SERIOUS)
        cancel.check()
        return object : Finished { override val notes = listOf("hot"); override val hasLocation = location }
    }

    override fun unfinished() = left
    override fun discard() { calls += "discard" }
    override fun save(finished: Finished): String { called("save"); return "Pictures/x.jpg" }
    override fun share(finished: Finished, withoutLocation: Boolean): String {
        called("share${if (withoutLocation) " without location" else ""}")
        return "content://x"
    }
}

class PresenterTest {
    private val desk = FakeDesk()
    private val background = Later()
    private val main = Later()
    private val seen = ArrayList<PhotoState>()
    private val presenter = PhotoPresenter(desk, background, main).also { it.attach(seen::add) }

    private fun settle() = repeat(3) { background.runAll(); main.runAll() }

    @Test
    fun `from a photo to a shared file`() {
        presenter.choose("photo")
        assertEquals(Phase.PREVIEWING, presenter.state.phase)
        settle()
        assertEquals(Phase.READY, presenter.state.phase)
        presenter.setStrength(60)
        presenter.enhance()
        settle()
        assertEquals(Phase.DONE, presenter.state.phase)
        assertTrue(seen.any { it.progress == 0.5f && it.phase == Phase.ENHANCING })
        assertTrue(seen.any { it.thermal == Thermal.SERIOUS })
        presenter.save()
        settle()
        assertEquals("Pictures/x.jpg", presenter.state.savedAs)
        var link = ""
        presenter.share(withoutLocation = true) { link = it }
        settle()
        assertEquals("content://x", link)
        assertEquals(
            listOf("discard", "preview photo", "enhance photo 60", "save", "share without location"), desk.calls,
        )
    }

    @Test
    fun `turning the phone does not stop the work, and the new screen sees where it is`() {
        presenter.choose("photo")
        settle()
        presenter.enhance()
        presenter.attach(null)
        val after = ArrayList<PhotoState>()
        presenter.attach(after::add)
        assertEquals(Phase.ENHANCING, after.single().phase)
        settle()
        assertEquals(Phase.DONE, after.last().phase)
    }

    @Test
    fun `a cancelled photo changes nothing later`() {
        presenter.choose("photo")
        settle()
        presenter.enhance()
        presenter.cancel()
        settle()
        assertEquals(Phase.READY, presenter.state.phase)
        assertEquals("discard", desk.calls.last())
    }

    @Test
    fun `another photo replaces the one that is being opened`() {
        presenter.choose("first")
        presenter.choose("second")
        settle()
        assertEquals("second", presenter.state.source)
        assertEquals(Phase.READY, presenter.state.phase)
    }

    @Test
    fun `what an earlier process began is offered and gone on with`() {
        desk.left = Unfinished("photo", 40)
        presenter.restore()
        settle()
        assertTrue(presenter.state.canContinue)
        presenter.enhance(goOn = true)
        settle()
        assertEquals("enhance photo 40 on", desk.calls.last())
        assertEquals(Phase.DONE, presenter.state.phase)
    }

    @Test
    fun `another strength asks for the photo again`() {
        presenter.choose("photo")
        settle()
        presenter.enhance()
        settle()
        presenter.setStrength(10)
        assertEquals(Phase.READY, presenter.state.phase)
        assertFalse(presenter.state.canSave)
    }

    @Test
    fun `every failure is told by its kind`() {
        val kinds = mapOf(
            SecurityException() to Failure.PHOTO_GONE, FileNotFoundException() to Failure.PHOTO_GONE,
            IOException("not a photo") to Failure.PHOTO_UNREADABLE,
            IOException("write failed: ENOSPC (No space left on device)") to Failure.DISK_FULL,
            IOException("write failed", IOException("ENOSPC")) to Failure.DISK_FULL,
            ArtifactException(Refusal.FILE_CHANGED, "model.pte") to Failure.MODEL_BROKEN,
            EngineException("no") to Failure.RUNTIME_FAILED, OutOfMemoryError() to Failure.MEMORY,
            IllegalStateException() to Failure.UNKNOWN,
        )
        for ((error, failure) in kinds) {
            desk.failure = error
            presenter.choose("photo")
            settle()
            assertEquals(Phase.FAILED, presenter.state.phase)
            assertEquals(failure, presenter.state.failure, "$error")
        }
        desk.failure = null
        presenter.choose("photo")
        settle()
        assertEquals(Phase.READY, presenter.state.phase)
    }

    @Test
    fun `after a full disk the same photo can be tried again`() {
        presenter.choose("photo")
        settle()
        desk.failure = IOException("ENOSPC")
        presenter.enhance()
        settle()
        assertEquals(Failure.DISK_FULL, presenter.state.failure)
        assertTrue(presenter.state.canEnhance)
        desk.failure = null
        presenter.enhance()
        settle()
        assertEquals(Phase.DONE, presenter.state.phase)
        assertEquals(null, presenter.state.failure)
    }

    @Test
    fun `benchmarks are shown, cancelled and fail by kind`() {
        var answer: () -> String = { "{}" }
        val benchmark = BenchmarkPresenter({ cancel, progress -> progress(0.5f); cancel.check(); answer() }, background, main)
        val states = ArrayList<BenchmarkState>()
        benchmark.attach(states::add)
        benchmark.start()
        settle()
        assertEquals("{}", benchmark.state.report)
        assertTrue(states.any { it.progress == 0.5f })
        answer = { throw EngineException("no") }
        benchmark.start()
        settle()
        assertEquals(Failure.RUNTIME_FAILED, benchmark.state.failure)
        benchmark.start()
        benchmark.cancel()
        settle()
        assertEquals(BenchmarkState(), benchmark.state)
    }

    @Test
    fun `zooming keeps the point under the fingers and never leaves the photo`() {
        val (viewWidth, viewHeight, width, height) = listOf(1080, 1500, 4000, 3000)
        var view = Viewport()
        val (left, _) = view.origin(viewWidth, viewHeight, width, height)
        assertEquals(0f, left, 0.01f)
        val before = view.origin(viewWidth, viewHeight, width, height).first.let { (700f - it) / view.pixelScale(viewWidth, viewHeight, width, height) }
        view = view.zoomed(8f, 700f, 750f, viewWidth, viewHeight, width, height)
        val after = view.origin(viewWidth, viewHeight, width, height).first.let { (700f - it) / view.pixelScale(viewWidth, viewHeight, width, height) }
        assertEquals(before, after, 0.5f)
        view = view.moved(1e6f, -1e6f, viewWidth, viewHeight, width, height)
        assertEquals(0f, view.origin(viewWidth, viewHeight, width, height).first, 0.5f)
        assertEquals(Viewport.SCALE_MAX, view.zoomed(1000f, 0f, 0f, viewWidth, viewHeight, width, height).scale)
        assertEquals(1f, view.zoomed(0.001f, 0f, 0f, viewWidth, viewHeight, width, height).scale)
        assertEquals(1f, view.dividedAt(3f).divider)
        assertNotNull(view)
    }

    @Test
    fun `the service names a type that each Android knows`() {
        assertEquals(listOf(null, DATA_SYNC, DATA_SYNC, DATA_SYNC, MEDIA_PROCESSING, MEDIA_PROCESSING),
            listOf(28, 29, 33, 34, 35, 36).map(::foregroundType))
    }
}
