"""The state of an interrupted run: everything that the next step depends on, in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from training.checkpoint import CheckpointError, load_tensors, save_tensors

FILE = "resume.safetensors"


def save(path: Path, modules: dict[str, nn.Module], optimizers: dict[str, Optimizer], header: dict[str, Any]) -> None:
    """Write atomically. `header` is JSON: the step to go on with and the settings of the run."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{key}": value for key, value in moments.items()}
    save_tensors(path, tensors, header)


def load(path: Path, modules: dict[str, nn.Module], optimizers: dict[str, Optimizer]) -> dict[str, Any]:
    """Restore into `modules` and `optimizers` what `save` wrote; returns the header.

    Raises:
        CheckpointError: not such a file, or of other networks.
    """
    tensors, header = load_tensors(path)
    try:
        for name, module in modules.items():
            prefix = f"module/{name}/"
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for name, optimizer in optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"optimizer/{name}/"):
                    index, moment = key.split("/")[2:]
                    state.setdefault(int(index), {})[moment] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: does not belong to this run ({reason}); choose another --out") from error
    return header
