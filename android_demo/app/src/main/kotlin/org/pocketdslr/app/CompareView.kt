package org.pocketdslr.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import org.pocketdslr.app.presenter.Viewport
import kotlin.math.abs

/** Before on the left of a line, after on its right. Two fingers zoom, one moves the line, or the photo elsewhere. */
class CompareView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private var before: Bitmap? = null
    private var after: Bitmap? = null
    private var strength = 1f
    private var viewport = Viewport()
    private var movesDivider = false
    private val photoPaint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val linePaint = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = Color.WHITE; strokeWidth = dp(2f) }
    private val target = RectF()

    private val scales = ScaleGestureDetector(context, object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
        override fun onScale(detector: ScaleGestureDetector): Boolean {
            look { zoomed(detector.scaleFactor, detector.focusX, detector.focusY, width, height, it.width, it.height) }
            return true
        }
    })

    private val drags = GestureDetector(context, object : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent): Boolean {
            movesDivider = abs(event.x - viewport.divider * width) < dp(32f)
            return true
        }

        override fun onScroll(first: MotionEvent?, event: MotionEvent, dx: Float, dy: Float): Boolean {
            if (movesDivider && event.pointerCount == 1) look { dividedAt(event.x / width) }
            else look { moved(-dx, -dy, width, height, it.width, it.height) }
            return true
        }

        override fun onDoubleTap(event: MotionEvent): Boolean {
            look { if (scale > 1f) Viewport(divider = divider) else zoomed(4f, event.x, event.y, width, height, it.width, it.height) }
            return true
        }
    })

    fun show(before: Bitmap?, after: Bitmap?, strengthPercent: Int) {
        if (before !== this.before) viewport = Viewport()
        this.before = before
        this.after = after
        strength = strengthPercent / 100f
        invalidate()
    }

    private inline fun look(change: Viewport.(Bitmap) -> Viewport) {
        viewport = viewport.change(before ?: return)
        invalidate()
    }

    @android.annotation.SuppressLint("ClickableViewAccessibility") // nothing here is a click
    override fun onTouchEvent(event: MotionEvent): Boolean {
        parent?.requestDisallowInterceptTouchEvent(true)
        scales.onTouchEvent(event)
        drags.onTouchEvent(event)
        return true
    }

    override fun onDraw(canvas: Canvas) {
        val photo = before ?: return
        val px = viewport.pixelScale(width, height, photo.width, photo.height)
        val (left, top) = viewport.origin(width, height, photo.width, photo.height)
        target.set(left, top, left + photo.width * px, top + photo.height * px)
        photoPaint.alpha = 255
        canvas.drawBitmap(photo, null, target, photoPaint)
        val line = viewport.divider * width
        after?.let {
            canvas.save()
            canvas.clipRect(line, 0f, width.toFloat(), height.toFloat())
            photoPaint.alpha = Math.round(strength * 255) // the blend that the full photo gets
            canvas.drawBitmap(it, null, target, photoPaint)
            canvas.restore()
            canvas.drawLine(line, 0f, line, height.toFloat(), linePaint)
            canvas.drawCircle(line, height / 2f, dp(10f), linePaint)
        }
    }

    private fun dp(value: Float) = value * resources.displayMetrics.density
}
