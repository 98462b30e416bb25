"""Checkpoints, artifacts, Core ML packages, packed samples, reports and results that are damaged or hostile."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.faults import FLIPS, Case, flipped, truncated
from benchmarks.robustness.faults_published import published_cases
from conversion.artifact import CHECKSUM, MANIFEST
from training.files import sha256

CONTRACT = Path(__file__).parents[2] / "conversion" / "contract"
HARMED = Path("/tmp/pocket-dslr-was-harmed")  # what the pickles would make if anything opened them


class _Harm:
    """A pickle that runs a command when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {HARMED}",)


def checkpoint_cases(folder: Path) -> Iterator[Case]:
    import torch  # in functions, since robustness.py parses its arguments first

    from training.checkpoint import Checkpoint, save_tensors
    from training.generators.ppcn import PpcnStudent

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    student = PpcnStudent()
    original = folder / "whole.safetensors"
    Checkpoint(student, "CC0-1.0", {"psnr": 1.5}, {"seed": 3}).save(original)
    whole = original.read_bytes()
    for number, (name, content) in enumerate([*truncated(whole), *flipped(whole, FLIPS, seed=0)]):
        path = folder / f"damaged-{number}.safetensors"
        path.write_bytes(content)
        yield Case(name, "checkpoint", path, "truth", original)

    base = {"schema_version": 1, "name": "x", "generator": {"name": "ppcn_student", "config": {}}, "licence": "",
            "scores": {}, "provenance": {}}  # fmt: skip
    weights = student.state_dict()
    broken = {name: torch.full_like(value, float("nan")) for name, value in weights.items()}
    absurd = {"generator": {"name": "pocket", "config": {"channels": 4000, "layers": 4000}}}
    made: dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]] = {
        "weights that are not numbers": (broken, {}),
        "a future schema version": (weights, {"schema_version": 2}),
        "another generator": (weights, {"generator": {"name": "dped", "config": {}}}),
        "no generator": (weights, {"generator": {"name": "os.system", "config": {}}}),
        "absurd shapes": (weights, absurd),
        "a weight missing": (dict(list(weights.items())[1:]), {}),
        "a weight too many": ({**weights, "extra": torch.zeros(1)}, {}),
    }
    for number, (name, (tensors, changes)) in enumerate(made.items()):
        save_tensors(path := folder / f"made-{number}.safetensors", tensors, base | changes)
        yield Case(name, "checkpoint", path, "refused")

    header = b'{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
    (folder / "header.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    (folder / "length.safetensors").write_bytes(struct.pack("<Q", 2**62) + whole[8:])
    (folder / "pickle.safetensors").write_bytes(pickle.dumps(_Harm()))
    torch.save({"w": _Harm()}, folder / "torch.safetensors")
    with zipfile.ZipFile(folder / "zip.safetensors", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(200 * 10**6))
    (folder / "link.safetensors").symlink_to("/dev/zero")
    for name in ("header", "length", "pickle", "torch", "zip", "link"):
        yield Case(f"hostile: {name}", "checkpoint", folder / f"{name}.safetensors", "refused")


def manifest_cases(folder: Path) -> Iterator[Case]:
    """The manifests that Python, Kotlin, Swift and TypeScript must refuse, or take, alike."""
    cases = json.loads((CONTRACT / "vectors" / "manifests.json").read_text(encoding="utf-8"))["cases"]
    good: str = cases[0]["manifest"]
    for number, case in enumerate(cases[1:]):
        text = "[" * case["brackets"] if "brackets" in case else good.replace(case["replace"], case["by"])
        path = folder / f"manifest-{number}"
        path.mkdir(parents=True)
        (path / MANIFEST).write_text(text, encoding="utf-8", errors="surrogatepass")
        yield Case(case["name"], "manifest", path, "refused" if case["refused"] else "truth")


def artifact_cases(folder: Path) -> Iterator[Case]:
    """The tiny artifact of the contract's vectors, changed."""
    cases = json.loads((CONTRACT / "vectors" / "artifacts.json").read_text(encoding="utf-8"))["cases"]
    files = {path: bytes.fromhex(content) for path, content in cases[0]["files"].items()}
    number = 0

    def write(change: dict[str, bytes | None]) -> Path:
        nonlocal number
        number += 1
        for path, content in (files | change).items():
            if content is not None:
                (folder / f"artifact-{number}" / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / f"artifact-{number}" / path).write_bytes(content)
        return folder / f"artifact-{number}"

    for case in cases[1:]:
        if "change" in case:
            changed = {path: None if text is None else bytes.fromhex(text) for path, text in case["change"].items()}
            yield Case(case["name"], "artifact", write(changed), "refused" if case["refused"] else "truth")
    for path, whole in sorted(files.items()):
        for name, content in flipped(whole, 5, seed=len(path)):
            yield Case(f"{path}, {name}", "artifact", write({path: content}), "refused")
    model = "analyze.mlpackage/Data/weights.bin"
    for name, target in {
        "a link to a device": "/dev/zero",
        "a link out": "/etc/hostname",
        "a link to itself": ".",
    }.items():
        path = write({model: None})
        (path / model).parent.mkdir(parents=True, exist_ok=True)
        (path / model).symlink_to(target)
        yield Case(name, "artifact", path, "refused")
    swapped = write(
        {"golden/tile.f32": files["golden/output.f32"][::-1], "golden/output.f32": files["golden/tile.f32"]}
    )
    yield Case("two files swapped", "artifact", swapped, "refused")
    (path := write({MANIFEST: None})).joinpath(MANIFEST).symlink_to("/dev/zero")
    yield Case("a manifest without end", "artifact", path, "refused")
    signed = write(
        {MANIFEST: (evil := files[MANIFEST].replace(b'"path": "MODEL_CARD.md"', b'"path": "../outside.md"'))}
    )
    (signed / CHECKSUM).write_text(f"{sha256(signed / MANIFEST)}  {MANIFEST}\n")
    assert evil != files[MANIFEST]
    yield Case("a path that leads out, under a right checksum", "artifact", signed, "refused")


def core_ml_cases(folder: Path) -> Iterator[Case]:
    """A package with a convolution, whose bytes are damaged: without checksum any program that it can be may run."""
    import coremltools as ct
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1)).eval()
    traced = torch.jit.trace(module, torch.rand(1, 3, 8, 8))  # type: ignore[no-untyped-call]
    model = ct.convert(
        traced, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS17, skip_model_load=True,
        inputs=[ct.TensorType(name="x", shape=(1, 3, 8, 8), dtype=np.float32)],
    )  # fmt: skip
    original = folder / "whole.mlpackage"
    model.save(str(original))
    number = 0
    for inside in ("Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"):
        whole = (original / inside).read_bytes()
        for name, content in [*truncated(whole), *flipped(whole, FLIPS, seed=len(inside))]:
            package = folder / f"damaged-{number}.mlpackage"
            number += 1
            shutil.copytree(original, package)
            (package / inside).write_bytes(content)
            yield Case(f"{Path(inside).name}, {name}", "core_ml", package, "picture")
    yield Case("as it is", "core_ml", original, "truth")


def packed_cases(folder: Path) -> Iterator[Case]:
    """Packed samples in arrays: of each file, every kind of damage; and arrays that are pickles."""
    from training.data.packed import FACTS, Writer

    original = folder / "whole"
    writer = Writer(3, 8, 4, original)
    for at in range(3):
        writer.add(*(np.full((side, side, 3), at, np.uint8) for side in (4, 8, 8)))
    writer.save({"licences": ["CC0-1.0"]})
    damages: list[tuple[str, str, bytes]] = []
    for path in sorted(original.iterdir()):
        whole = path.read_bytes()
        damages += [(path.name, name, content) for name, content in truncated(whole)]
        if path.name != FACTS:
            damages += [(path.name, name, content) for name, content in flipped(whole, 10, seed=4)]
            damages.append((path.name, "a pickle", _pickled_array()))
    damages.append((FACTS, "nothing but brackets", b"[" * 10**6))
    for number, (file, name, content) in enumerate(damages):
        shutil.copytree(original, copy := folder / f"damaged-{number}")
        (copy / file).write_bytes(content)
        yield Case(f"{file}, {name}", "packed", copy, "refused")
    shards = {"licences": [], "patch_px": 8, "thumbnail_px": 4, "shards": [
        {"url": "pipe:touch " + str(HARMED), "samples": 1, "sha256": "0" * 64}]}  # fmt: skip
    shutil.copytree(original, endless := folder / "endless", ignore=shutil.ignore_patterns(FACTS))
    (endless / FACTS).symlink_to("/dev/zero")
    yield Case("facts without end", "packed", endless, "refused")
    (folder / "pipe").mkdir()
    (folder / "pipe" / FACTS).write_text(json.dumps(shards))
    yield Case("a shard that is a command", "packed", folder / "pipe", "refused")


def _pickled_array() -> bytes:
    import io

    np.save(buffer := io.BytesIO(), np.array([_Harm()], object), allow_pickle=True)
    return buffer.getvalue()


def report_cases(folder: Path) -> Iterator[Case]:
    """The report of the contract, cut, flipped, and with each of its values replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = (CONTRACT / "report.example.json").read_bytes()
    made = [*truncated(whole), *flipped(whole, FLIPS, seed=5)]
    made += [("nothing but brackets", b"[" * 10**6), ("too large", b" " * 2**26), ("no text", bytes(range(256)))]
    for number, (name, content) in enumerate(made):
        path = folder / f"report-{number}.json"
        path.write_bytes(content)
        yield Case(name, "report", path, "picture" if name.startswith("flipped") else "refused")
    (folder / "link.json").symlink_to("/dev/zero")
    yield Case("a file without end", "report", folder / "link.json", "refused")


def device_cases(folder: Path) -> Iterator[Case]:
    """What a runner writes on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = b"load_s 0.5\nanalyze_s 0.01\nenhance_s 0.25\nbaseline_kib 3\npeak_kib 4\ndone 7\n"
    made = [*truncated(whole), *flipped(whole, FLIPS, seed=6)]
    made += [("not numbers", whole.replace(b"7", b"nan")), ("infinite", whole.replace(b"7", b"1e999")),
             ("64 MB", b"x" * 2**26)]  # fmt: skip
    for number, (name, content) in enumerate(made):
        path = folder / f"result-{number}"
        path.write_bytes(content)
        yield Case(name, "device", path, "picture" if name.startswith("flipped") else "refused")


MODELS: dict[str, tuple[Callable[[Path], Iterator[Case]], ...]] = {
    "checkpoints": (checkpoint_cases,),
    "published checkpoints": (published_cases,),
    "artifacts and manifests": (artifact_cases, manifest_cases),
    "Core ML packages": (core_ml_cases,),
    "packed samples": (packed_cases,),
    "reports": (report_cases,),
    "results of a device": (device_cases,),
}
