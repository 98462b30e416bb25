package org.pocketdslr.app

import android.app.Application
import android.os.Handler
import android.os.Looper
import org.pocketdslr.app.presenter.BenchmarkPresenter
import org.pocketdslr.app.presenter.PhotoPresenter
import org.pocketdslr.engine.Benchmark
import java.util.concurrent.Executor
import java.util.concurrent.Executors

/** What outlives the screens. */
class PocketApp : Application() {
    private val main = Handler(Looper.getMainLooper()).let { handler -> Executor { handler.post(it) } }
    private val background = Executors.newSingleThreadExecutor() // an engine takes one call at a time
    private val device by lazy { PhoneDevice(this) }
    val models by lazy { Models(this) }
    val photo by lazy { PhotoPresenter(AndroidDesk(this, models, device), background, main).also { it.restore() } }
    val benchmark by lazy {
        BenchmarkPresenter(
            { cancel, progress ->
                Benchmark(device, models.artifact()).run(models::newEngine, Models.THREADS, cancel = cancel, progress = progress)
            },
            background, main,
        )
    }
}
