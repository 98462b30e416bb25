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
    val relativeSpread: Double,
)

/** Durations in seconds to the figures of a report. */
fun summarize(samplesS: DoubleArray): Latency {
    require(samplesS.isNotEmpty() && samplesS.all { it > 0 && it.isFinite() }) {
        "latency needs at least one sample, all positive and finite"
    }
    val (p10, p50, p90) = listOf(10, 50, 90).map { percentile(samplesS, it) }
    return Latency(
        samplesS.size, 1e3 * samplesS.min(), 1e3 * p50, 1e3 * p90, 1e3 * samplesS.max(),
        1e3 * exactSum(samplesS) / samplesS.size, (p90 - p10) / p50,
    )
}

/** The sum rounded once, as Python's `math.fsum`, so that means agree to the last bit. */
fun exactSum(values: DoubleArray): Double =
    values.fold(java.math.BigDecimal.ZERO) { sum, value -> sum + java.math.BigDecimal(value) }.toDouble()
