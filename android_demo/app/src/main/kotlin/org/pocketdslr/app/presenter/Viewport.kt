package org.pocketdslr.app.presenter

/**
 * Which part of a picture a view shows: pinch to zoom, drag to move, and a line between before and after.
 *
 * [scale] 1 fits the picture into the view; [centreX], [centreY] are the middle of what is seen, in shares of the picture.
 */
data class Viewport(
    val scale: Float = 1f, val centreX: Float = 0.5f, val centreY: Float = 0.5f, val divider: Float = 0.5f,
) {
    /** Screen pixels for one picture pixel. */
    fun pixelScale(viewWidth: Int, viewHeight: Int, width: Int, height: Int) =
        scale * minOf(viewWidth.toFloat() / width, viewHeight.toFloat() / height)

    /** Left and top of the picture in the view. */
    fun origin(viewWidth: Int, viewHeight: Int, width: Int, height: Int): Pair<Float, Float> {
        val px = pixelScale(viewWidth, viewHeight, width, height)
        return Pair(viewWidth / 2f - centreX * width * px, viewHeight / 2f - centreY * height * px)
    }

    /** The point under the fingers stays where it is. */
    fun zoomed(factor: Float, x: Float, y: Float, viewWidth: Int, viewHeight: Int, width: Int, height: Int): Viewport {
        val next = (scale * factor).coerceIn(1f, SCALE_MAX)
        val before = pixelScale(viewWidth, viewHeight, width, height)
        val after = copy(scale = next).pixelScale(viewWidth, viewHeight, width, height)
        val moveX = (x - viewWidth / 2f) * (1 / before - 1 / after) / width
        val moveY = (y - viewHeight / 2f) * (1 / before - 1 / after) / height
        return copy(scale = next, centreX = centreX + moveX, centreY = centreY + moveY)
            .inside(viewWidth, viewHeight, width, height)
    }

    fun moved(dx: Float, dy: Float, viewWidth: Int, viewHeight: Int, width: Int, height: Int): Viewport {
        val px = pixelScale(viewWidth, viewHeight, width, height)
        return copy(centreX = centreX - dx / (px * width), centreY = centreY - dy / (px * height))
            .inside(viewWidth, viewHeight, width, height)
    }

    fun dividedAt(share: Float) = copy(divider = share.coerceIn(0f, 1f))

    /** No more empty space than fitting leaves. */
    private fun inside(viewWidth: Int, viewHeight: Int, width: Int, height: Int): Viewport {
        val px = pixelScale(viewWidth, viewHeight, width, height)
        val halfX = viewWidth / (2 * px * width)
        val halfY = viewHeight / (2 * px * height)
        fun clamp(value: Float, half: Float) = if (half >= 0.5f) 0.5f else value.coerceIn(half, 1 - half)
        return copy(centreX = clamp(centreX, halfX), centreY = clamp(centreY, halfY))
    }

    companion object {
        const val SCALE_MAX = 16f
    }
}
