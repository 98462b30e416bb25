"""An engine that adds up the time spent in the runtime."""

from __future__ import annotations

import time

from conversion.artifact import TilingSpec
from conversion.runtimes import Array
from training.enhancer import Engine
from training.tiling import Tiling


class Timed:
    """An engine that adds up the time spent in `enhance`."""

    def __init__(self, engine: Engine):
        self.engine, self.enhance_s = engine, 0.0

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        return self.engine.analyze(thumbnail)

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        start = time.perf_counter()
        output = self.engine.enhance(tile, condition)
        self.enhance_s += time.perf_counter() - start
        return output


def tiling(spec: TilingSpec) -> Tiling:
    return Tiling(spec.halo_px, spec.align_px, spec.border)
