"""python -m benchmarks.robustness.fault_process: read cases, a JSON object a line, and answer each.

`robustness.py` starts it: a case that hangs it or takes it down is then counted, and nothing else is lost.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

from benchmarks.machine import peak_memory_mb
from benchmarks.robustness.faults import Case, Reader
from training.commandline import UserError

ADDRESS_SPACE = 12 << 30  # bytes: libraries of a few GB are mapped, and a runaway allocation fails
OLD = b"what was there before"
AVIF_LEVELS = 24.0  # by which two decoders differ on edges


class Wrong(Exception):
    """Something came out, and it is not right: a silent failure."""


class Lost(Exception):
    """A file that was there is gone or changed, or a part of one stayed."""


@dataclass(frozen=True)
class Outcome:
    """kind: refused, right, silent, lost, or crashed. said: the sentence, or what is wrong."""

    kind: str
    said: str
    cpu_s: float
    peak_mb: float


class Meter:
    """Of the reading alone: what it is compared with takes time and memory, too."""

    def start(self) -> None:
        self.running = True
        with contextlib.suppress(OSError):  # elsewhere than on Linux the peak is of all until now
            Path("/proc/self/clear_refs").write_text("5")
        self._began = time.process_time()

    def stop(self) -> None:
        if self.running:
            self.running, self.cpu_s, self.peak_mb = False, time.process_time() - self._began, peak_memory_mb()


METER = Meter()


def read_photo_case(case: Case) -> None:
    """From file to file as enhance.py does, at strength 0, which gives the photo back."""
    from training.enhancer.full_size import enhance_file

    before = case.path.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "made.png"
        target.write_bytes(OLD)
        try:
            enhance_file(_enhancer(), case.path, target, strength=0.0)
            METER.stop()
        except UserError:
            if target.read_bytes() != OLD:
                raise Lost("the older file at its place has changed") from None
            raise
        finally:
            if [path.name for path in Path(name).iterdir()] != [target.name] or case.path.read_bytes() != before:
                raise Lost("a temporary file stayed, or the photo has changed")
        with Image.open(target) as image:
            made = np.asarray(image.convert("RGB"))
    if case.right == "picture":
        return
    shown = _truth_of(case)
    if shown is None:
        return
    if shown.shape != made.shape:
        raise Wrong(f"{made.shape} instead of {shown.shape}")
    tolerance = AVIF_LEVELS if case.path.suffix == ".avif" and case.truth is None else case.tolerance
    if (error := np.abs(made.astype(int) - shown).max()) > tolerance:
        raise Wrong(f"off by {error} levels")


def _truth_of(case: Case) -> np.ndarray[Any, Any] | None:
    if case.truth is None:
        return by_pillow(case.path)
    if case.truth.suffix == ".npy":
        return np.load(case.truth, allow_pickle=False)
    from training.photos import read_pixels

    return read_pixels(case.truth)


def by_pillow(path: Path) -> np.ndarray[Any, Any] | None:
    """[H, W, 3] upright sRGB by Pillow alone; None of CMYK and 16-bit grey, which it takes in another way."""
    with Image.open(path) as image:
        upright = image if image.format == "HEIF" else ImageOps.exif_transpose(image)
        if upright.mode == "CMYK" or upright.mode.startswith("I;16"):
            return None
        rgb = upright.convert("RGBA").convert("RGB") if image.has_transparency_data else upright.convert("RGB")
        profile = image.info.get("icc_profile")
        if profile and profile[16:20] == b"RGB ":
            rgb = ImageCms.profileToProfile(
                rgb, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"),
                ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            ) or rgb  # fmt: skip
        return np.asarray(rgb)


@lru_cache(maxsize=1)
def _enhancer() -> Any:
    import torch

    from training.checkpoint import Checkpoint
    from training.enhancer import Enhancer, float_model
    from training.generators.pocket import Pocket, PocketConfig

    torch.set_num_threads(1)
    generator = Pocket(PocketConfig(channels=4, layers=1, thumbnail_px=16)).eval()
    return Enhancer(float_model(Checkpoint(generator, "CC0-1.0")))


def read_checkpoint_case(case: Case) -> None:
    from training.checkpoint import Checkpoint

    _same_weights(Checkpoint.load(case.path).generator, Checkpoint.load(case.truth).generator if case.truth else None)


def read_published_case(case: Case) -> None:
    from training.published.networks import to_generator
    from training.published.tensorflow_checkpoint import read_checkpoint

    made = to_generator(read_checkpoint(case.path))
    _same_weights(made, to_generator(read_checkpoint(case.truth)) if case.truth else None)


def _same_weights(made: Any, true: Any) -> None:
    import torch

    if true is None:
        raise Wrong("it was taken")
    for name, weights in true.state_dict().items():
        if not torch.equal(made.state_dict()[name], weights):
            raise Wrong(f"other weights in {name}")


def read_artifact_case(case: Case) -> None:
    from conversion.artifact import Artifact

    Artifact.load(case.path).verify()
    _taken(case)


def read_manifest_case(case: Case) -> None:
    from conversion.artifact import Artifact

    Artifact.load(case.path)
    _taken(case)


def read_core_ml_case(case: Case) -> None:
    from conversion.runtimes.mil import MilProgram

    program = MilProgram.load(case.path)
    feeds = {name: np.ones(declared.shape, np.float32) for name, declared in program._inputs.items()}
    made = program.run(feeds)
    if set(made) != set(program.output_names):
        raise Wrong("not the outputs that it declares")
    _taken(case)


def read_packed_case(case: Case) -> None:
    from training.data.shards import load_samples

    samples = load_samples(case.path, 8, 4, seed=0)
    for at in range(len(samples)):
        samples.sample(at, at, len(samples))
    _taken(case)


def read_report_case(case: Case) -> None:
    from benchmarks.report import Report

    Report.load(case.path)
    _taken(case)


def read_device_case(case: Case) -> None:
    """The two files that a runner leaves on a phone: figures, and counted instructions."""
    from benchmarks.targets.device.results import read_result

    read_result(case.path, Path("artifact"))
    _taken(case)


def _taken(case: Case) -> None:
    if case.right == "refused":
        raise Wrong("it was taken")


READERS: dict[Reader, Callable[[Case], None]] = {
    "photo": read_photo_case,
    "checkpoint": read_checkpoint_case,
    "artifact": read_artifact_case,
    "manifest": read_manifest_case,
    "published": read_published_case,
    "core_ml": read_core_ml_case,
    "packed": read_packed_case,
    "report": read_report_case,
    "device": read_device_case,
}


def judged(case: Case) -> Outcome:
    METER.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[case.reader](case)
        kind, said = ("silent", "it was taken") if case.right == "refused" else ("right", "")
    except UserError as error:
        kind, said = "refused", str(error)
        if not said.isprintable() or (case.path.name.partition(".")[0] not in said and case.reader != "device"):
            kind = "silent"  # the sentence must be one line, and name the file
    except Wrong as error:
        kind, said = "silent", str(error)
    except Lost as error:
        kind, said = "lost", str(error)
    except Exception as error:
        kind, said = "crashed", f"{type(error).__name__}: {error}"
    METER.stop()
    return Outcome(kind, said[:300], METER.cpu_s, METER.peak_mb)


def main() -> None:
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            given = json.loads(line)
            paths = {key: given[key] and Path(given[key]) for key in ("path", "truth")}
            print(json.dumps(judged(Case(**given | paths)).__dict__), file=answers, flush=True)


if __name__ == "__main__":
    main()
