"""One process or many: `torchrun` starts them and says by its variables how many there are; Fabric does the rest."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric

from training.commandline import UserError


def make_fabric(accelerator: str, precision: str, batch: int) -> Fabric:
    """A Fabric for this process and those beside it, all of one model: each sees its share of every batch.

    Without torchrun it is this process alone. With it, gradients are averaged over all (DDP; gloo on the CPU).

    Raises:
        UserError: no GPU where one is asked for; the batch cannot be shared out evenly.
    """
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: no GPU that CUDA can use is here; give cpu or auto")
    on_this_node, nodes = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("GROUP_WORLD_SIZE", 1))
    processes = on_this_node * nodes
    if batch % processes:
        raise UserError(f"--batch {batch}: {processes} processes share it evenly; give a multiple of {processes}")
    strategy = "ddp" if processes > 1 else "auto"
    fabric = Fabric(
        accelerator=accelerator,
        strategy=strategy,
        devices=on_this_node,
        num_nodes=nodes,
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
