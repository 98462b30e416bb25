package org.pocketdslr.core

/** How a model may be cut into tiles; pixels. CLAMP repeats the photo's edge outside it, SHIFT moves border tiles inside. */
data class Tiling(val tile: Int, val halo: Int, val align: Int, val border: Border)

enum class Border { CLAMP, SHIFT }

/**
 * One tile: read [top, top + size) x [left, left + size) of the photo, keep rows [y0, y1) and columns [x0, x1).
 * All in pixels of the photo; under [Border.CLAMP] what is read may lie outside it.
 */
data class Tile(val top: Int, val left: Int, val size: Int, val y0: Int, val y1: Int, val x0: Int, val x1: Int)

/** What one axis contributes to a tile: where it starts, and the range that it keeps. */
data class Span(val origin: Int, val from: Int, val to: Int)

enum class PlanFault { EMPTY, MISALIGNED, ALL_HALO, BELOW_TILE }

/** A photo and a tiling that do not go together. */
class PlanException(val fault: PlanFault, message: String) : IllegalArgumentException(message)

/** The spans of one axis of [length] pixels; the kept ranges partition it. */
fun spans(length: Int, tiling: Tiling): List<Span> {
    val (size, halo, align) = tiling
    fun refuse(fault: PlanFault, why: String): Nothing = throw PlanException(fault, why)
    if (length < 1) refuse(PlanFault.EMPTY, "a photo side of $length px has no pixels")
    if (size % align != 0 || halo % align != 0) {
        refuse(PlanFault.MISALIGNED, "tile $size and halo $halo must be multiples of $align")
    }
    val step = (size - 2 * halo) / align * align
    if (step <= 0) refuse(PlanFault.ALL_HALO, "a tile of $size px is all halo ($halo px on each side)")
    if (tiling.border == Border.CLAMP) {
        return (0 until length step step).map { Span(it - halo, it, minOf(it + step, length)) }
    }
    if (length < size) refuse(PlanFault.BELOW_TILE, "a photo side of $length px is below one tile of $size px")
    val spans = ArrayList<Span>()
    var kept = 0
    while (kept < length) {
        val origin = (kept - halo).coerceIn(0, length - size)
        val end = if (origin + size == length) length else origin + size - halo
        spans += Span(origin, kept, end)
        kept = end
    }
    return spans
}

/** Cut a photo into tiles, row by row; the kept parts cover every pixel exactly once. */
fun plan(height: Int, width: Int, tiling: Tiling): List<Tile> {
    val columns = spans(width, tiling)
    return spans(height, tiling).flatMap { row -> columns.map { tileOf(row, it, tiling.tile) } }
}

fun tileOf(row: Span, column: Span, size: Int) =
    Tile(row.origin, column.origin, size, row.from, row.to, column.from, column.to)
