"""What one training step does: the networks, their optimizers and losses, for each preset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim import Adam, Optimizer

from training.commandline import UserError
from training.data.batches import Batch
from training.generators.base import Generator
from training.loop.cuda_graph import Graphed
from training.loop.muon import Muon
from training.losses import dped, pixel
from training.losses.discriminator import Discriminator
from training.losses.perceptual import load_vgg19
from training.losses.presets import DPED_PRESETS, PIXEL_PRESETS, DpedWeights, PixelWeights

Net = TypeVar("Net", bound=nn.Module)
WARM_UP_STEPS = 100
HOLD_SHARE = 0.5  # of all steps, before the rate falls
FALL_SHARE = 0.25  # of the steps so far, over which the rate falls once validation has stalled


class NotFinite(UserError):
    """Training has diverged; what was saved last is good."""


@dataclass(frozen=True)
class Schedule:
    """Learning rate over steps: up, level until `fall_from`, then along half a cosine to zero at `end`."""

    fall_from: int
    end: int
    warm_up: int = WARM_UP_STEPS

    def share(self, index: int) -> float:
        """Of the learning rate, in [0, 1], at step `index`, counted from 0."""
        warm = min(1.0, (index + 1) / self.warm_up)
        fallen = max(0, index - self.fall_from) / max(1, self.end - self.fall_from)
        return warm * (1 + math.cos(math.pi * min(1.0, fallen))) / 2


def make_schedule(steps: int, patience: int, stalled_at: int | None) -> Schedule:
    """For so many steps at most. With patience 0 the rate falls from the first step on.

    Args:
        stalled_at: the step at which validation gave up; the run then ends soon, while the rate falls.
    """
    if stalled_at is not None:
        return Schedule(stalled_at, min(steps, stalled_at + max(1, round(FALL_SHARE * stalled_at))))
    return Schedule(round(HOLD_SHARE * steps) if patience else 0, steps)


class Recipe(Protocol):
    """modules and optimizers are all that a resumed run has to restore. batches_per_step: how many `step` takes."""

    batches_per_step: ClassVar[int]
    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    def step(self, index: int, batches: Sequence[Batch], rate_share: float) -> dict[str, float]:
        """Step `index`, counted from 0, at this share of the learning rate -> each loss by name."""


def make_recipe(preset: str, fabric: Fabric, generator: Generator, lr: float | None, vgg: Path | None) -> Recipe:
    """The recipe of a preset; `lr` None takes the preset's own."""
    if preset in PIXEL_PRESETS:
        return PixelRecipe(fabric, generator, PIXEL_PRESETS[preset], lr or 2e-3)
    return PaperRecipe(fabric, generator, DPED_PRESETS[preset], lr or 5e-4, vgg)


class PixelRecipe:
    """Errors of pixels and of structure; Muon for the kernels and Adam for the rest, of one learning rate.

    On one GPU a step is a CUDA graph.
    """

    batches_per_step: ClassVar[int] = 1

    def __init__(self, fabric: Fabric, generator: Generator, weights: PixelWeights, lr: float):
        self.fabric, self.lr, self.scales = fabric, lr, weights.scales
        self.weights = fabric.to_device(torch.tensor([1.0, weights.structure, weights.mse]))
        self.graphed = fabric.device.type == "cuda" and fabric.world_size == 1
        module = _channels_last(generator)
        kernels = [parameter for parameter in module.parameters() if parameter.ndim == 4]
        others = [parameter for parameter in module.parameters() if parameter.ndim != 4]
        # A graph reads the rate from memory.
        rates = [fabric.to_device(torch.tensor(lr)) if self.graphed else lr for _ in range(2)]
        adam = Adam([{"params": others}], lr=rates[1], capturable=self.graphed)  # as a group, which may be empty
        self.generator, muon, adam = fabric.setup(module, Muon(kernels, rates[0]), adam)
        self.modules = {"generator": self.generator}
        self.optimizers: dict[str, Optimizer] = {"kernels": muon, "others": adam}
        self._learn: Callable[..., Tensor] = Graphed(self._learn_from) if self.graphed else self._learn_from

    def step(self, index: int, batches: Sequence[Batch], rate_share: float) -> dict[str, float]:
        (batch,), self.index = batches, index
        self._set_rate(self.lr * rate_share)
        return self._checked(self._learn(batch.phone, batch.dslr, batch.thumbnail))

    def _set_rate(self, rate: float) -> None:
        for group in (group for optimizer in self.optimizers.values() for group in optimizer.param_groups):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _learn_from(self, phone: Tensor, dslr: Tensor, thumbnail: Tensor) -> Tensor:
        """One step -> the terms of its loss [3]."""
        enhanced = self.generator(phone, thumbnail).float()
        structure = pixel.structure_loss(enhanced, dslr, self.scales)
        terms = torch.stack([F.l1_loss(enhanced, dslr), structure, F.mse_loss(enhanced, dslr)])
        if not self.graphed:  # what is being recorded has no values yet
            self._checked(terms)
        _descend(self.fabric, self.optimizers.values(), (terms * self.weights).sum(), self.generator)
        return terms.detach()

    def _checked(self, terms: Tensor) -> dict[str, float]:
        named = dict(zip(("l1", "structure", "mse"), terms.tolist(), strict=True))
        _require_finite(named, self.index)
        return named


class PaperRecipe:
    """DPED: content, texture, colour and TV for the generator; then a step of the discriminator on another batch.

    The learning rate is constant, as the authors' is.
    """

    batches_per_step: ClassVar[int] = 2

    def __init__(self, fabric: Fabric, generator: Generator, weights: DpedWeights, lr: float, vgg: Path | None):
        self.fabric, self.weights = fabric, weights
        self.generator, self.generator_adam = _set_up(fabric, generator, lr)
        self.discriminator, self.discriminator_adam = _set_up(fabric, Discriminator(), lr)
        self.vgg = fabric.to_device(_channels_last(load_vgg19(vgg)))
        self.modules = {"generator": self.generator, "discriminator": self.discriminator}
        self.optimizers = {"generator": self.generator_adam, "discriminator": self.discriminator_adam}

    def step(self, index: int, batches: Sequence[Batch], rate_share: float) -> dict[str, float]:
        batch, other = batches
        enhanced = self.generator(batch.phone, batch.thumbnail).float()
        with self.fabric.autocast():
            features = self.vgg(enhanced).float()
            with torch.no_grad():
                dslr_features = self.vgg(batch.dslr).float()
        processes = self.fabric.world_size  # gradients are averaged over them, and two losses are sums over the batch
        self.discriminator.requires_grad_(False)
        with self.fabric.no_backward_sync(self.discriminator):  # type: ignore[arg-type]  # it passes the gradient on
            terms = {
                "content": dped.content_loss(features, dslr_features),
                "texture": dped.texture_loss(self.discriminator(enhanced)) * processes,
                "colour": dped.colour_loss(enhanced, batch.dslr),
                "tv": dped.tv_loss(enhanced),
            }
        total = sum(getattr(self.weights, name) * term for name, term in terms.items())
        assert isinstance(total, Tensor)
        _require_finite({name: term.item() for name, term in terms.items()}, index)
        _descend(self.fabric, [self.generator_adam], total)

        # Each patch of the discriminator's batch is the DSLR's or an enhanced one at random.
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            enhanced = self.generator(other.phone, other.thumbnail).float()
        coin = torch.Generator().manual_seed(index)
        coins = torch.randint(2, (processes * len(enhanced),), generator=coin).bool()
        is_dslr = coins[self.fabric.global_rank :: processes].to(enhanced.device)
        logits = self.discriminator(torch.where(is_dslr.view(-1, 1, 1, 1), other.dslr, enhanced))
        cross_entropy = dped.discriminator_loss(logits, is_dslr) * processes
        _require_finite({"discriminator": cross_entropy.item()}, index)
        _descend(self.fabric, [self.discriminator_adam], cross_entropy)
        accuracy = (logits.argmax(1) == (~is_dslr).long()).float().mean()
        named = {**terms, "total": total, "discriminator": cross_entropy / len(coins), "accuracy": accuracy}
        return {name: term.item() for name, term in named.items()}


def _channels_last(module: Net) -> Net:
    """Convolutions run twice as fast on the CPU in this layout."""
    convert_conv2d_weight_memory_format(module, torch.channels_last)
    return module


def _set_up(fabric: Fabric, module: nn.Module, lr: float) -> tuple[nn.Module, Optimizer]:
    module = _channels_last(module)
    wrapped, optimizer = fabric.setup(module, Adam(module.parameters(), lr=lr))
    return wrapped, optimizer


def _require_finite(terms: Mapping[str, float], step: int) -> None:
    if not all(map(math.isfinite, terms.values())):
        values = ", ".join(f"{name} {term:.4g}" for name, term in terms.items())
        raise NotFinite(
            f"step {step}: the loss is not a finite number ({values}); the last good checkpoint is kept: "
            "run again with a smaller --lr and another --out"
        )


def _descend(fabric: Fabric, optimizers: Iterable[Optimizer], loss: Tensor, clipped: nn.Module | None = None) -> None:
    """One step down the gradient; that of `clipped` is shortened to length 1."""
    optimizers = list(optimizers)
    for optimizer in optimizers:
        optimizer.zero_grad()
    fabric.backward(loss)
    if clipped is not None:
        torch.nn.utils.clip_grad_norm_(clipped.parameters(), max_norm=1.0)
    for optimizer in optimizers:
        optimizer.step()
