package org.pocketdslr.core

/** The nearest-rank percentile: the smallest sample that at least [percent] % of all do not exceed. */
fun percentile(samples: DoubleArray, percent: Int): Double {
    require(samples.isNotEmpty() && percent in 0..100) { "percentile $percent of ${samples.size} samples is not defined" }
    val rank = maxOf(1, (percent * samples.size + 99) / 100)
    return samples.sortedArray()[rank - 1]
}

/** Times of one entry point in milliseconds, as a report has them. */
data class Latency(
    val count: Int, val minMs: Double, val p50Ms: Double, val p90Ms: Double, val maxMs: Double, val meanMs: Double,
    val relativeSpread: Double, val samplesMs: List<Double>,
) {
    /** By the names of a report. */
    fun figures(): Map<String, Any> = mapOf(
        "count" to count, "min_ms" to minMs, "p50_ms" to p50Ms, "p90_ms" to p90Ms, "max_ms" to maxMs,
        "mean_ms" to meanMs, "relative_spread" to relativeSpread, "samples_ms" to samplesMs,
    )
}

/** Durations in seconds to the figures of a report. */
fun summarize(samplesS: DoubleArray): Latency {
    require(samplesS.isNotEmpty() && samplesS.all { it > 0 && it.isFinite() }) {
        "latency needs at least one sample, all positive and finite"
    }
    val ms = DoubleArray(samplesS.size) { 1e3 * samplesS[it] }
    val (p10, p50, p90) = listOf(10, 50, 90).map { percentile(ms, it) }
    return Latency(ms.size, ms.min(), p50, p90, ms.max(), exactSum(ms) / ms.size, (p90 - p10) / p50, ms.toList())
}

/** The sum rounded once, as Python's `math.fsum`, so that means agree to the last bit. */
fun exactSum(values: DoubleArray): Double =
    values.fold(java.math.BigDecimal.ZERO) { sum, value -> sum + java.math.BigDecimal(value) }.toDouble()
