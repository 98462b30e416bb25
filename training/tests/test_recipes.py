"""A recorded step does what the same step does when it is launched kernel by kernel. Needs a GPU."""

from __future__ import annotations

import pytest
import torch

from training import generators
from training.data.batches import Batch
from training.loop.cuda_graph import EAGER_CALLS
from training.loop.processes import make_fabric
from training.loop.recipes import PixelRecipe, make_recipe

STEPS = EAGER_CALLS + 6


def batch(seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    phone, dslr, small = (torch.rand(8, 3, side, side, generator=random) for side in (64, 64, 64))
    return Batch(phone * 255, dslr * 255, small * 255)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")
def test_a_recorded_step_learns_what_a_launched_one_learns() -> None:
    learned = []
    for graphed in (True, False):
        fabric = make_fabric("cuda", "32-true", 8)
        torch.manual_seed(0)
        generator = generators.build("pocket")
        recipe = make_recipe("scores", fabric, generator, None, None)
        assert isinstance(recipe, PixelRecipe)
        if not graphed:
            recipe.graphed, recipe._learn = False, recipe._learn_from
        terms = []
        for step in range(STEPS):
            here = batch(step).to(fabric.device)
            terms.append(list(recipe.step(step, [here], 0.1).values()))
        learned.append((torch.tensor(terms), torch.cat([p.detach().flatten().cpu() for p in generator.parameters()])))
    (terms, weights), (launched_terms, launched_weights) = learned
    assert torch.allclose(terms, launched_terms, rtol=2e-3, atol=1e-5)
    assert (weights - launched_weights).norm() < 0.02 * (launched_weights.norm() + 1e-9)
    assert not torch.equal(terms[-1], terms[-2])
