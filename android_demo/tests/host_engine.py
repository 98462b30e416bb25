"""python android_demo/tests/host_engine.py ARTIFACT

An artifact in this machine's own runtime, for the Kotlin tests: reads `A` or `E` and tensors from stdin, answers on
stdout; big-endian float32 in shape and layout of the manifest.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from conversion.artifact import Artifact
from conversion.runtimes import open_artifact

POINTS = {b"A": "analyze", b"E": "enhance"}


def main(folder: str) -> None:
    artifact = Artifact.load(Path(folder))
    engine = open_artifact(artifact, threads=1)
    while what := sys.stdin.buffer.read(1):
        point = artifact.manifest.entry_point(POINTS[what])  # type: ignore[arg-type]
        given = []
        for spec in point.inputs:
            values = np.frombuffer(sys.stdin.buffer.read(4 * math.prod(spec.shape)), ">f4")
            given.append(values.astype(np.float32).reshape(spec.shape))
        for output in engine.run(point, given):
            sys.stdout.buffer.write(np.ascontiguousarray(output, ">f4").tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
