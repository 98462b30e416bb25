"""Muon for convolutions: the momentum of each kernel, seen as a matrix, made orthogonal before it becomes a step.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the size of its step is that of Adam's
(Liu et al., "Muon is scalable for LLM training", 2025, equation 4), so that one learning rate serves both. torch's own
takes matrices only, and a convolution's kernel is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # steepest at zero; leaves singular values within about 0.7 to 1.2
NEWTON_SCHULZ_STEPS = 5
ADAM_RMS = 0.2  # of Adam's steps, in units of the learning rate


class Muon(Optimizer):
    """For kernels [O, I, h, w], with Nesterov's momentum; biases and the like go to another optimizer."""

    def __init__(self, kernels: Iterable[Parameter], lr: float | Tensor):
        super().__init__(kernels, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(kernel)
                momentum = state["momentum"].lerp_(kernel.grad, 1 - MOMENTUM)
                direction = orthogonal(kernel.grad.lerp(momentum, MOMENTUM).flatten(1))
                size = ADAM_RMS * max(direction.shape) ** 0.5
                kernel.sub_(direction.view_as(kernel) * (group["lr"] * size))  # a rate that may be a tensor


def orthogonal(matrix: Tensor) -> Tensor:
    """U V^T, about, of the singular value decomposition U S V^T of [m, n], by the Newton-Schulz iteration."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
