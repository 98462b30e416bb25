"""The Checkpoint: what training hands over. One safetensors file whose header carries JSON; nothing is pickled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from training import generators
from training.commandline import UserError
from training.files import replacing, sha256
from training.generators.base import Generator
from training.weights import WEIGHTS_FOLDER, default_release, release_file, released

__all__ = [
    "WEIGHTS_FOLDER", "Checkpoint", "CheckpointError", "default_release", "find", "load_tensors", "released",
    "save_tensors",
]  # fmt: skip

SCHEMA_VERSION = 1
DIGEST = "sha256"  # in the header; files of before have none
CONFIG_MAX = 4096  # of any number in a generator's configuration


class CheckpointError(UserError):
    """A checkpoint cannot be read or written; the message names the file and the remedy."""


def save_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors with a JSON header, atomically.

    Raises:
        CheckpointError: the file cannot be written (disk full, no permission).
    """
    try:
        with replacing(path) as temporary:
            contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            text = json.dumps({**header, DIGEST: _digest(contiguous, header)})
            # One key, as the order of several would be by chance; and not by save_file, whose own temporary file stays
            # where it is killed.
            temporary.write_bytes(save(contiguous, metadata={"json": text}))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: could not be written ({error}); free some space or choose another --out"
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        CheckpointError: missing, truncated, damaged, not safetensors, or without our header.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = json.loads(metadata["json"])
            if not isinstance(header, dict):
                raise ValueError("its header is not a JSON object")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if header.pop(DIGEST, metadata.get(DIGEST)) not in (None, _digest(tensors, header)):
            raise ValueError("its checksum says that it is damaged")
        return tensors, header
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a checkpoint of this project ({error}); make one with train.py or import_published.py"
        ) from error


def _digest(tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    """sha256 of all that a file says: safetensors itself has no checksum."""
    whole = hashlib.sha256(json.dumps(header).encode())
    for name, tensor in sorted(tensors.items()):
        whole.update(f"\0{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


class _Budget(TorchFunctionMode):
    """Networks are built up to so many elements: a header may ask for any number."""

    def __init__(self, elements: int):
        super().__init__()
        self.left = elements

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is torch.empty:  # memory is taken when it is filled, which is not yet
            self.left -= made.numel()
            if self.left < 0:
                raise ValueError("its configuration asks for more weights than it has")
        return made


@dataclass
class Checkpoint:
    """A generator with what is known of it.

    licence: of the weights, e.g. "Apache-2.0" or "research use: trained on material without a stated licence".
    scores: figures by name, with the protocol in the name or beside it.
    provenance: how it was made: command, data, seed, steps, source files with sha256.
    """

    generator: Generator
    licence: str
    scores: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    sha256: str = ""

    def save(self, path: Path) -> Path:
        """Write atomically; sets `sha256`."""
        header = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name or path.stem,
            "generator": self.generator.describe(),
            "licence": self.licence,
            "scores": self.scores,
            "provenance": self.provenance,
        }
        save_tensors(path, self.generator.state_dict(), header)
        self.sha256 = sha256(path)
        return path

    @classmethod
    def load(cls, name_or_path: str | Path) -> Checkpoint:
        """Read a checkpoint by path or by the name of a release in `training/weights/`.

        Raises:
            CheckpointError: no such file or release, a broken file, weights that do not fit or are not finite.
        """
        path = find(name_or_path)
        tensors, header = load_tensors(path)
        version = header.get("schema_version")
        if version != SCHEMA_VERSION:
            raise CheckpointError(
                f"{path}: checkpoint schema {version!r} is not {SCHEMA_VERSION}; use the release that made it"
            )
        try:
            name, config = header["generator"]["name"], header["generator"]["config"]
            if any(isinstance(value, int) and value > CONFIG_MAX for value in config.values()):
                raise ValueError(f"a configuration of {config!s:.80} is absurd")
            with _Budget(sum(tensor.numel() for tensor in tensors.values())):
                generator = generators.build(name, config)
            generator.load_state_dict(tensors)
            checkpoint = cls(
                generator.eval(), str(header["licence"]), header["scores"], header["provenance"], str(header["name"])
            )
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise CheckpointError(
                f"{path}: weights and header do not fit each other ({str(error).splitlines()[0]})"
            ) from error
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise CheckpointError(f"{path}: has weights that are not finite numbers; train it again")
        checkpoint.sha256 = sha256(path)
        return checkpoint


def find(name_or_path: str | Path) -> Path:
    """The file of a released name, a checkpoint path, or a folder of train.py (its `checkpoint.safetensors`)."""
    if release := release_file(str(name_or_path)):
        return release
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "checkpoint.safetensors"
    if not path.is_file():
        names = ", ".join(released()) or "none yet"
        raise CheckpointError(f"{name_or_path}: neither a checkpoint file nor a released name (released: {names})")
    return path
