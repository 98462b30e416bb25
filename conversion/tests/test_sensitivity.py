"""Which layer costs most: the one that was made to."""

from __future__ import annotations

import pytest
import torch

from conversion.artifact import Precision
from conversion.calibration import calibrate
from conversion.export import Source
from conversion.sensitivity import BITS, in_words, sensitivity


@pytest.mark.parametrize("precision", ["w8", "w8a8", "pal4"])
@pytest.mark.parametrize("planted", ["body.0", "body.1"])
def test_the_planted_layer_comes_first(make_checkpoint, precision: Precision, planted: str) -> None:  # type: ignore[no-untyped-def]
    checkpoint = make_checkpoint("pocket")
    down = checkpoint.generator.down
    with torch.no_grad():  # the widest weights are those for a channel that shows nothing but -1000 before its ReLU
        down.weight[0], down.bias[0] = 0, -1000
        checkpoint.generator.up.weight[:, 0] = 0
        checkpoint.generator.get_submodule(planted).weight[1:, 0] = 100
    source = Source(checkpoint, tile_px=32)
    random = torch.Generator().manual_seed(0)
    photos = [torch.randint(0, 256, (40, 48, 3), generator=random).byte().numpy() for _ in range(2)]
    samples = calibrate(photos, source.generator, 32).samples
    before = {name: tensor.clone() for name, tensor in source.generator.state_dict().items()}
    found = sensitivity(source, precision, samples)
    assert next(iter(found)) == planted and found[planted] < sorted(found.values())[1] - 6
    assert list(found.values()) == sorted(found.values())
    assert set(source.layers) == set(found)
    assert in_words(found).startswith(f"{planted} {found[planted]:.1f} dB, ")
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.generator.state_dict().items())


def test_precisions_of_integers_are_imitated() -> None:
    assert set(BITS) == {"w8", "dyn8", "w8a8", "pal6", "pal4"}
