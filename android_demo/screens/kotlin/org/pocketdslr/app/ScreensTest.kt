package org.pocketdslr.app

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.widget.TextView
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.pocketdslr.app.presenter.Failure
import org.pocketdslr.app.presenter.Phase
import org.pocketdslr.app.presenter.PhotoState
import org.pocketdslr.engine.Thermal
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File

/** Draws each screen with Android's own graphics, on the JVM. -Dscreens: the folder for the pictures. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = "w411dp-h891dp-xhdpi")
class ScreensTest {
    private fun golden(activity: Activity, name: String): Bitmap {
        val models = (activity.application as PocketApp).models
        return BitmapFactory.decodeFile(models.artifact().file("golden/$name.png").path)
    }

    private fun draw(activity: Activity, name: String) {
        val view = activity.window.decorView
        val picture = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(picture))
        val file = File(System.getProperty("screens"), "$name.png")
        file.outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
        val seen = HashSet<Int>()
        for (y in 0 until picture.height step 8) for (x in 0 until picture.width step 8) seen += picture.getPixel(x, y)
        assertTrue("$name is blank", seen.size > 10)
    }

    private fun photo(name: String, state: (BitmapPreview) -> PhotoState) {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        val preview = BitmapPreview(golden(activity, "tile"), golden(activity, "output"), "CPU, XnnpackBackend", emptyList())
        activity.show(state(preview))
        activity.window.decorView.apply { measure(exactly(width), exactly(height)); layout(0, 0, width, height) }
        draw(activity, name)
    }

    private fun exactly(size: Int) = android.view.View.MeasureSpec.makeMeasureSpec(size, android.view.View.MeasureSpec.EXACTLY)

    @Test
    fun empty() = photo("empty") { PhotoState() }

    @Test
    fun preview() = photo("preview") { PhotoState(Phase.READY, "photo", it, 80, device = it.device) }

    @Test
    fun enhancing() = photo("enhancing") {
        PhotoState(Phase.ENHANCING, "photo", it, 80, progress = 0.42f, thermal = Thermal.SERIOUS, device = it.device)
    }

    @Test
    fun failed() = photo("failed") { PhotoState(Phase.FAILED, "photo", failure = Failure.DISK_FULL) }

    @Test
    fun models() {
        val activity = Robolectric.buildActivity(ModelsActivity::class.java).setup().get()
        assertTrue("CC" in activity.findViewById<TextView>(R.id.facts).text)
        draw(activity, "models")
    }

    @Test
    fun benchmark() = draw(Robolectric.buildActivity(BenchmarkActivity::class.java).setup().get(), "benchmark")
}
