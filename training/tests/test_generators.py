"""Both parts of every generator: sizes, costs, and that tiles add up to the whole photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from training import generators
from training.checkpoint import Checkpoint
from training.enhancer import Enhancer, TorchEngine, enhance_photo, float_model
from training.generators.pocket import depth_to_space, shouldered, space_to_depth
from training.tiling import to_uint8


def alive(name: str, seed: int = 0) -> generators.Generator:
    """A generator whose weights all matter: fresh ones are close to the identity."""
    torch.manual_seed(seed)
    generator = generators.build(name).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    return generator


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("dped", 401_475, 399_744),
        ("ppcn_student", 2_715, 2_624),
        ("ppcn_teacher", 21_843, 21_504),
        ("srcnn", 20_099, 20_000),
        ("per_pixel", 1_283, 1_216),
    ],
)
def test_published_sizes_and_costs(name: str, parameters: int, macs: int) -> None:
    generator = generators.build(name)
    assert generator.parameter_count() == parameters
    assert generator.mac_per_px() == macs


def test_pocket_stays_within_its_budget() -> None:
    pocket = generators.build("pocket")
    assert pocket.mac_per_px() <= 4_000
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        pocket.analyze(torch.zeros(1, 3, pocket.thumbnail_px, pocket.thumbnail_px))
    assert counter.get_total_flops() / 2 <= 50e6


def test_a_new_pocket_is_the_identity() -> None:
    torch.manual_seed(0)
    pocket = generators.build("pocket").eval()
    pocket.analyser.head.weight.data.zero_()
    photo = torch.rand(2, 3, 33, 50)
    with torch.no_grad():
        torch.testing.assert_close(pocket(photo, torch.rand(2, 3, 64, 64)), photo)


LEVELS = torch.arange(256) / 255


@given(st.lists(st.floats(-3, 4), min_size=1, max_size=8))
def test_what_the_photo_does_not_clip_stays_unclipped(outputs: list[float]) -> None:
    made = shouldered(torch.tensor(outputs)[:, None].expand(-1, 256), LEVELS.expand(len(outputs), -1))
    rounded = torch.from_numpy(to_uint8(made.numpy()))
    assert (rounded[:, 1:255] > 0).all() and (rounded[:, 1:255] < 255).all()
    assert (made >= 0).all() and (made <= 1).all()


def test_the_shoulder_keeps_gradations_and_spares_the_rest() -> None:
    blown = shouldered(torch.full((256,), 2.0), LEVELS)
    assert (blown.diff() > 0.09 / 255).all()  # a tenth of the photo's gradations at least
    identity = shouldered(LEVELS, LEVELS)
    torch.testing.assert_close(identity, LEVELS)
    middle = torch.linspace(0.1, 0.9, 50)
    torch.testing.assert_close(shouldered(middle, torch.full((50,), 0.5)), middle)


@pytest.mark.parametrize("name", generators.NAMES)
def test_the_receptive_radius_is_within_the_halo(name: str) -> None:
    """A change of one pixel reaches exactly as far as the halo says, and no further."""
    generator = alive(name).double()
    halo, size = generator.tiling.halo, 96
    with torch.no_grad():
        condition = generator.analyze(torch.rand(1, 3, generator.thumbnail_px, generator.thumbnail_px).double())
        tile = torch.rand(1, 3, size, size).double()
        changed = tile.clone()
        changed[:, :, 48, 48] += 0.5
        moved = (generator.enhance(tile, *condition) != generator.enhance(changed, *condition))[0].any(0).nonzero()
    low, high = moved.min(0).values, moved.max(0).values
    cell = generator.tiling.align
    assert (low >= 48 - halo).all() and (high < 48 + cell + halo).all()
    assert (low <= 48 - halo + cell).all(), "the halo is larger than it needs to be"


@pytest.mark.parametrize("name", generators.NAMES)
@pytest.mark.parametrize("shape", [(150, 131), (128, 257)])
def test_tiles_add_up_to_the_whole_photo(name: str, shape: tuple[int, int]) -> None:
    engine = TorchEngine(alive(name))
    photo = np.random.default_rng(1).random((*shape, 3)).astype(np.float32)
    whole = engine.whole(photo)
    tiled = enhance_photo(photo, engine, engine.generator.tiling, 128, engine.exact_condition(photo))
    assert np.abs(whole - photo).mean() > 0.01, "the network should do something"
    assert np.abs(tiled - whole).max() <= 1e-5


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([36, 64, 88]))
def test_pocket_tiles_add_up_at_every_size(height: int, width: int, tile_px: int) -> None:
    engine = TorchEngine(alive("pocket"))
    photo = np.random.default_rng(height).random((height, width, 3)).astype(np.float32)
    tiled = enhance_photo(photo, engine, engine.generator.tiling, tile_px, engine.exact_condition(photo))
    assert np.abs(tiled - engine.whole(photo)).max() <= 1e-5


@pytest.mark.parametrize("name", ["dped", "ppcn_student", "ppcn_teacher"])
def test_streamed_statistics_are_those_of_the_photo(name: str) -> None:
    generator = alive(name).double()
    photo = torch.rand(1, 3, 70, 91).double()
    with torch.no_grad():
        streamed = generator.exact_condition((70, 91), lambda y0, y1, x0, x1: photo[:, :, y0:y1, x0:x1], 32)
        assert streamed is not None
        torch.testing.assert_close(generator.enhance(photo, *streamed), generator(photo, photo), atol=1e-10, rtol=0)
        # The analyser of the photo itself is the same condition, too.
        torch.testing.assert_close(streamed[0], generator.analyze(photo)[0], atol=1e-9, rtol=1e-9)


def test_dped_is_the_paper_layer_by_layer() -> None:
    """Against a direct transcription with torch's own instance norm."""
    generator = alive("dped")
    state = generator.state_dict()
    photo = torch.rand(2, 3, 40, 44)

    def convolve(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding="same")

    def norm(x: torch.Tensor, k: int) -> torch.Tensor:
        return F.instance_norm(x, weight=state[f"norms.{k}.weight"], bias=state[f"norms.{k}.bias"], eps=1e-3)

    x = F.relu(convolve(photo, "head"))
    for k in range(0, 8, 2):
        inner = F.relu(norm(convolve(x, f"body.{k}"), k))
        x = F.relu(norm(convolve(inner, f"body.{k + 1}"), k + 1)) + x
    for k in range(2):
        x = F.relu(convolve(x, f"post.{k}"))
    expected = torch.tanh(convolve(x, "tail")) * 0.58 + 0.5
    with torch.no_grad():
        torch.testing.assert_close(generator(photo, photo), expected, atol=2e-5, rtol=0)


def test_per_pixel_maps_colours_whatever_is_beside_them() -> None:
    generator = alive("per_pixel")
    photo = torch.rand(1, 3, 8, 9)
    shuffled = photo.flatten(2)[:, :, torch.randperm(72)].view_as(photo)
    with torch.no_grad():
        one, two = (generator(x).flatten(2).sort(2).values for x in (photo, shuffled))
    torch.testing.assert_close(one, two)


@given(st.integers(1, 3), st.sampled_from([2, 4, 8]), st.integers(1, 4), st.integers(1, 4))
def test_space_to_depth_keeps_every_pixel_in_order(n: int, factor: int, rows: int, columns: int) -> None:
    x = torch.arange(n * 3 * rows * columns * factor**2).reshape(n, 3, rows * factor, columns * factor)
    cells = space_to_depth(x, factor)
    assert cells.shape == (n, 3 * factor**2, rows, columns)
    assert torch.equal(depth_to_space(cells, factor), x)
    assert torch.equal(cells[:, :3, 0, 0], x[:, :, 0, 0])  # channel order: row, column, colour
    assert torch.equal(cells[:, 3:6, 0, 0], x[:, :, 0, 1])


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("unet", {}, "no generator is named"),
        ("pocket", {"depth": 3}, "depth"),
        ("pocket", {"channels": -1}, "whole number"),
        ("dped", {"channels": 10**9}, "whole number"),
        ("dped", {"channels": "64"}, "whole number"),
    ],
)
def test_bad_names_and_configs_are_refused(name: str, config: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generators.build(name, config)


@pytest.mark.parametrize("name", ["pocket", "dped"])
def test_enhancer_strength_blends_and_types_are_kept(name: str) -> None:
    enhancer = Enhancer(float_model(Checkpoint(alive(name), licence="test")))
    photo = np.random.default_rng(0).integers(0, 256, (50, 61, 3), np.uint8)
    full = enhancer(photo)
    assert full.dtype == np.uint8 and full.shape == photo.shape and (full != photo).any()
    assert np.array_equal(enhancer(photo, strength=0), photo)
    half = enhancer(photo.astype(np.float64) / 255, strength=0.5)
    assert half.dtype == np.float64
    np.testing.assert_allclose(half, (photo / 255 + enhancer(photo / 255)) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="strength"):
        enhancer(photo, strength=1.5)
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        enhancer(photo[..., 0])
