"""Run a TFLite file on the host with LiteRT (XNNPACK)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import ArtifactEngine, Tensor


class LitertEngine(ArtifactEngine):
    """Signatures of one `.tflite`; tensors by the names in the manifest."""

    def __init__(self, folder: Path, entry_points: Sequence[EntryPoint], threads: int):
        super().__init__(entry_points)
        self._runners = {}
        for point in entry_points:
            try:
                # An interpreter per entry point: signatures of one interpreter share its tensor arena.
                interpreter = Interpreter(model_path=str(folder / point.file), num_threads=threads)
                self._runners[point.name] = interpreter.get_signature_runner(point.function)
            except (RuntimeError, ValueError) as error:
                raise ArtifactError(f"{folder / point.file}: LiteRT refuses {point.function} ({error})") from error

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        feeds = {spec.name: array for spec, array in zip(entry_point.inputs, inputs, strict=True)}
        outputs = self._runners[entry_point.name](**feeds)
        return [outputs[spec.name] for spec in entry_point.outputs]
