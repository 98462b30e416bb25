"""Several engines of one artifact, each with one thread: as many tiles at a time.

A small network leaves a core idle while threads of one tile wait for each other: two tiles on a core each are faster.
"""

from __future__ import annotations

from queue import SimpleQueue

from conversion.artifact import Artifact
from conversion.runtimes import Array, ArtifactEngine, open_artifact


class SideBySide:
    """An engine that may be called from `threads` threads at a time.

    Raises:
        ArtifactError: as `open_artifact`.
    """

    def __init__(self, artifact: Artifact, threads: int):
        self.threads = threads
        self._idle: SimpleQueue[ArtifactEngine] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(open_artifact(artifact, threads=1))

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        engine = self._idle.get()
        try:
            return engine.analyze(thumbnail)
        finally:
            self._idle.put(engine)

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        engine = self._idle.get()
        try:
            return engine.enhance(tile, condition)
        finally:
            self._idle.put(engine)
