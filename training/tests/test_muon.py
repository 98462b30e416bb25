"""Muon's steps are orthogonal, of Adam's size, and go down."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.loop.muon import ADAM_RMS, Muon, orthogonal


@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**31))
def test_singular_values_become_about_one(rows: int, columns: int, seed: int) -> None:
    torch.manual_seed(seed)
    u, s, vh = torch.linalg.svd(torch.randn(rows, columns), full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(1, 0.2, len(s))) @ vh  # not random ones: the smallest may be next to zero
    made = orthogonal(matrix)
    assert made.shape == matrix.shape
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.3 and values.max() < 1.3
    torch.testing.assert_close(made / values.mean(), u @ vh, atol=0.75, rtol=0)  # the same directions
    assert (made * (u @ vh)).sum() > 0.6 * len(s)


def test_size_of_a_step_is_that_of_adam() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(32, 32, 3, 3))
    kernel.grad = torch.randn_like(kernel) * 1e-6  # as with Adam, the length of the gradient is of no matter
    Muon([kernel], lr=0.1).step()
    assert kernel.detach().square().mean().sqrt() == pytest.approx(0.1 * ADAM_RMS, rel=0.3)


def test_layout_in_memory_is_of_no_matter() -> None:
    torch.manual_seed(0)
    plain = nn.Parameter(torch.randn(8, 6, 3, 3))
    last = nn.Parameter(plain.detach().clone(memory_format=torch.channels_last))
    gradient = torch.randn_like(plain)
    plain.grad, last.grad = gradient, gradient.clone(memory_format=torch.channels_last)
    for kernel in (plain, last):
        Muon([kernel], lr=0.1).step()
    torch.testing.assert_close(plain, last)


def test_it_goes_down() -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(4, 4, 3, bias=False), torch.randn(8, 4, 12, 12)
    wanted = nn.Conv2d(4, 4, 3, bias=False)(x).detach()
    muon = Muon(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        loss = (layer(x) - wanted).square().mean()
        losses.append(loss.item())
        muon.zero_grad()
        loss.backward()
        muon.step()
    assert losses[-1] < losses[0] / 20


def test_kernels_without_a_gradient_stay() -> None:
    kernel = nn.Parameter(torch.ones(2, 2, 1, 1))
    Muon([kernel], lr=1).step()
    assert torch.equal(kernel, torch.ones(2, 2, 1, 1))
