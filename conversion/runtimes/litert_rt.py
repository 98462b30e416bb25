"""Run a TFLite file on the host with LiteRT (XNNPACK)."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import ArtifactEngine, Tensor

GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"  # once a process, on stderr
_one_at_a_time = threading.Lock()


class LitertEngine(ArtifactEngine):
    """Signatures of one `.tflite`; tensors by the names in the manifest."""

    def __init__(self, folder: Path, entry_points: Sequence[EntryPoint], threads: int):
        super().__init__(entry_points)
        # An interpreter per entry point: signatures of one interpreter share its tensor arena.
        self._signatures = {point.name: _Signature(folder / point.file, point, threads) for point in entry_points}

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._signatures[entry_point.name].run(inputs)


class _Signature:
    """One signature. The first of a file takes its inputs in place, which a signature runner cannot do."""

    def __init__(self, path: Path, point: EntryPoint, threads: int):
        try:
            with _without_greeting():
                self.interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self.interpreter.allocate_tensors()
            runner = self.interpreter.get_signature_runner(point.function)
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(f"{path}: LiteRT refuses {point.function} ({error})") from error
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self.inputs = {spec.name: inputs[spec.name]["index"] for spec in point.inputs}
        self.outputs = {spec.name: outputs[spec.name]["index"] for spec in point.outputs}
        first = {tensor["name"] for tensor in self.interpreter.get_input_details()}
        # An interpreter does not run on its own while there is a runner.
        self.runner = None if first == {tensor["name"] for tensor in inputs.values()} else runner

    def run(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        if self.runner:
            made = self.runner(**dict(zip(self.inputs, inputs, strict=True)))
            return [made[name] for name in self.outputs]
        for index, array in zip(self.inputs.values(), inputs, strict=True):
            np.copyto(self.interpreter.tensor(index)(), array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs.values()]


@contextmanager
def _without_greeting() -> Iterator[None]:
    """What is printed to stderr meanwhile comes after the block, but for LiteRT's greeting."""
    with _one_at_a_time, tempfile.TemporaryFile() as aside:
        stderr = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            aside.seek(0)
            if said := aside.read().replace(GREETING, b""):
                os.write(2, said)
