"""VGG-19: the installed weights, a file of one's own, and wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.io import savemat

from training.losses.perceptual import Vgg19, VggError, _packaged, load_vgg19


@pytest.fixture(scope="module")
def vgg() -> Vgg19:
    return load_vgg19()


def test_features_have_tensorflows_sizes(vgg: Vgg19) -> None:
    # SAME pooling rounds up: 100, 50, 25, 13, 7.
    assert vgg(torch.rand(1, 3, 100, 100)).shape == (1, 512, 7, 7)
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_features_tell_content(vgg: Vgg19) -> None:
    """Noise of the same strength hurts a photo's features more than a change of brightness does."""
    from skimage.data import astronaut

    photo = torch.from_numpy(astronaut()[100:228, 160:288]).permute(2, 0, 1)[None].float() / 255
    generator = torch.Generator().manual_seed(0)
    noisy = photo + torch.randn(photo.shape, generator=generator) * 0.06
    darker = photo - 0.06
    clean = vgg(photo)
    assert F.mse_loss(vgg(noisy), clean) > F.mse_loss(vgg(darker), clean) > 0


def test_authors_file_gives_the_same_network(vgg: Vgg19, tmp_path: Path) -> None:
    """The MatConvNet layout, written from the installed weights, reads back to the same features."""
    layers = []
    for weight, bias in _packaged():
        kernels = weight.numpy().transpose(3, 2, 1, 0)
        pair = np.empty((1, 2), object)
        pair[0, 0], pair[0, 1] = kernels, bias.numpy().reshape(-1, 1)
        layer = np.empty((1, 1), [("weights", object), ("name", object)])
        layer[0, 0] = (pair, "conv")
        relu = np.empty((1, 1), [("type", object)])
        relu[0, 0] = ("relu",)
        layers += [layer, relu]
    cells = np.empty((1, len(layers)), object)
    cells[0] = layers
    file = tmp_path / "imagenet-vgg-verydeep-19.mat"
    savemat(file, {"layers": cells})
    patch = torch.rand(1, 3, 48, 48)
    torch.testing.assert_close(load_vgg19(file)(patch), vgg(patch))


@pytest.mark.parametrize("content", [b"", b"not a matlab file" * 20, b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_wrong_files_are_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "vgg.mat"
    file.write_bytes(content)
    with pytest.raises(VggError, match=r"vgg\.mat: not imagenet-vgg-verydeep-19\.mat"):
        load_vgg19(file)


def test_other_matlab_content_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.mat"
    savemat(file, {"layers": np.zeros((1, 4))})
    with pytest.raises(VggError, match="not imagenet-vgg-verydeep-19"):
        load_vgg19(file)
    with pytest.raises(VggError, match="no such file"):
        load_vgg19(tmp_path / "absent.mat")
