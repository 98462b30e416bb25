"""Golden vectors of what a report is made of: metrics, percentiles, canonical JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from benchmarks.report import canonical_json
from benchmarks.report.latency import percentile, summarize
from benchmarks.vectors.values import Case, bits64, image, pixel_bytes
from training.quality import metrics


def metrics_vectors() -> Iterator[Case]:
    """What a device says of its golden tile; the one part that is compared by a tolerance."""
    for seed, (height, width, amplitude) in enumerate(((11, 11, 1), (16, 21, 9), (40, 33, 60), (24, 24, 0))):
        before = image(height, width, seed)
        noise = image(height, width, seed + 100).astype(np.int64) % (2 * amplitude + 1) - amplitude
        after, reference = ((x / 255).astype(np.float32) for x in ((before + noise).clip(0, 255), before))
        yield {
            "height": height, "width": width, "seed": seed, "amplitude": amplitude,
            "psnr_db": round(metrics.psnr(after, reference), 9), "ssim": round(metrics.ssim(after, reference), 9),
            "delta_e_2000": round(metrics.delta_e(after, reference), 6),
            "colour_shift": [round(part, 9) for part in metrics.colour_shift(after, reference)],
        }  # fmt: skip


def percentiles_vectors() -> Iterator[Case]:
    for count in (1, 2, 3, 9, 10, 11, 20, 99, 100, 101):
        samples_s = [float(v) + 1 for v in pixel_bytes(count, count)]
        for percent in (0, 1, 10, 50, 90, 99, 100):
            value = percentile(samples_s, percent)
            yield {"seed": count, "count": count, "percent": percent, "value": int(value)}
    thirds = [(float(v) + 1) / 3000 for v in pixel_bytes(21, 21)]
    latency = asdict(summarize(thirds))
    yield {"samples_s": [bits64(s) for s in thirds], "latency": canonical_json(latency)}


def canonical_json_vectors() -> Iterator[Case]:
    floats = [
        0.0, -0.0, 1.0, -1.0, 0.5, 1 / 3, 2 / 3, 1e-7, 4.9e-7, 5e-7, 5.1e-7, -4e-7, 2**-7, 3 * 2**-7, 123456.7890625,
        0.1 + 0.2, 99.9999995, 1e15, 1e21, 2.0**70, math.pi,
    ]  # fmt: skip
    for value in floats:
        yield {"float64": bits64(value), "text": canonical_json(value)}
    for text in (
        "",
        "plain",
        'quote " backslash \\ slash /',
        "tab\tline\n\r\b\f\x00\x1f\x7f",
        "é ß 漢",
        "😀 \ufffd",
        "<>&'",
    ):
        yield {"string": text, "text": canonical_json(text)}
    document = {
        "b": [], "a": {}, "é": 1, "Z": 2.0, "z": [1, 2.5, None, True, False, "x"], "\U0001f600": 0, "\ufffd": -3,
        "nested": {"list": [{"k": 1e-3}, [0.25]], "0": 2**53 - 1},
    }  # fmt: skip
    yield {"document": json.dumps(document, ensure_ascii=False), "text": canonical_json(document)}
