"""python -m benchmarks.studies.peers.tile_process FOLDER: one candidate enhances one tile, in a process of its own.

`rounds.py` starts it. FOLDER holds `request.json` and `<n>.npy`, the inputs of enhance in the candidate's own layout
and type; it gains `output.npy`. Then every line on standard input, a number of seconds, is answered by one of JSON: a
round of calls that takes at least that long.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import peak_memory_mb
from conversion.runtimes import RUNTIMES, import_runtime
from training.commandline import UserError

Tensor = npt.NDArray[np.float32] | npt.NDArray[np.uint8]
Enhance = Callable[[], Any]  # gives the output as the runtime makes it
TORCH = ("eager", "torch.compile")


def load_artifact(model: str, inputs: Sequence[Tensor], threads: int) -> Enhance:
    from conversion.runtimes import open_artifact

    engine = open_artifact(Path(model), threads)
    point = engine.entry_points["enhance"]
    return lambda: engine.run(point, inputs)[0]


def load_torch(model: str, inputs: Sequence[Tensor], threads: int, compiled: bool) -> Enhance:
    import torch

    from training.checkpoint import Checkpoint

    torch.set_num_threads(threads)
    generator = Checkpoint.load(model).generator
    tensors = [torch.from_numpy(array) for array in inputs]

    def enhance(tile: torch.Tensor, *condition: torch.Tensor) -> torch.Tensor:
        return generator.enhance(tile, *condition).clamp(0, 1)

    call = torch.compile(enhance) if compiled else enhance

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return call(*tensors)

    return run


def load_onnxruntime(model: str, inputs: Sequence[Tensor], threads: int) -> Enhance:
    import onnxruntime  # type: ignore[import-not-found,import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {spec.name: array for spec, array in zip(session.get_inputs(), inputs, strict=True)}
    return lambda: session.run(None, feeds)[0]


def load(runtime: str, model: str, inputs: Sequence[Tensor], threads: int) -> Enhance:
    if runtime in TORCH:
        return load_torch(model, inputs, threads, compiled=runtime == "torch.compile")
    return (load_onnxruntime if runtime == "onnxruntime" else load_artifact)(model, inputs, threads)


def round_of(call: Enhance, least_s: float) -> dict[str, float]:
    """Calls for at least so long: how many, and the mean of each by the clock and in CPU time of all threads."""
    calls, start, cpu = 0, time.perf_counter(), time.process_time()
    while calls == 0 or time.perf_counter() - start < least_s:
        call()
        calls += 1
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    return {"calls": calls, "wall_s": wall_s / calls, "cpu_s": cpu_s / calls, "peak_mb": peak_memory_mb()}


def work(folder: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # toolchains chatter on standard output
    request = json.loads((folder / "request.json").read_text())
    runtime = request["runtime"]
    inputs = [np.load(folder / f"{at}.npy", allow_pickle=False) for at in range(request["inputs"])]
    # Inductor looks for what it compiled before: nothing from earlier, nothing left behind, no processes of its own.
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if runtime in RUNTIMES:
        import_runtime(runtime)
    else:
        importlib.import_module("torch" if runtime in TORCH else runtime)
    baseline_mb = peak_memory_mb()
    try:
        call = load(runtime, request["model"], inputs, request["threads"])
        np.save(folder / "output.npy", np.asarray(call()))
    except RuntimeError as error:  # of compilers and runtimes, over many lines
        raise UserError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error

    def answer(facts: dict[str, float]) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    answer({"baseline_mb": baseline_mb})
    for line in sys.stdin:
        answer(round_of(call, float(line)))


if __name__ == "__main__":
    try:
        work(Path(sys.argv[1]))
    except (UserError, ImportError) as error:
        raise SystemExit(str(error)) from None
