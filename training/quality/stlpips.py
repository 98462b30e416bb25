"""ST-LPIPS: how different two pictures look to a network that ignores small shifts (Ghildyal and Liu, ECCV 2022).

The AlexNet variant "vST0.0", computed as the authors' package does. Only the weights come from that package: its code
imports torchvision, torchsummary and IPython.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.commandline import UserError
from training.files import sha256
from training.quality.metrics import Image

PACKAGE = "stlpips_pytorch"
PIN = "stlpips-pytorch==0.0.2"
WEIGHTS_FILE = "weights/vST0.0/alex_shift_tolerant.pth"
WEIGHTS_SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
MIN_SIDE_PX = 32  # the fifth stage has nothing to look at below

# Convolutions of AlexNet: channels in and out, kernel in px, padding in px, and their index in the stored state.
_CONVOLUTIONS = (
    ("slice1.0", 3, 64, 11, 2),
    ("slice2.5", 64, 192, 5, 2),
    ("slice3.9", 192, 384, 3, 1),
    ("slice4.11", 384, 256, 3, 1),
    ("slice5.13", 256, 256, 3, 1),
)


class StLpipsError(UserError):
    """The weights of ST-LPIPS are missing or not what they should be."""


class StLpips(nn.Module):
    """The distance of pairs of images. Frozen."""

    shift: Tensor
    scale: Tensor

    def __init__(self, state: dict[str, Tensor]):
        super().__init__()
        self.register_buffer("shift", state["scaling_layer.shift"])
        self.register_buffer("scale", state["scaling_layer.scale"])
        self.convolutions = nn.ModuleList()
        self.layers = nn.ParameterList()
        for stage, (name, inputs, outputs, kernel_px, padding_px) in enumerate(_CONVOLUTIONS):
            convolution = nn.Conv2d(inputs, outputs, kernel_px, padding=padding_px)
            convolution.load_state_dict({key: state[f"net.{name}.{key}"] for key in ("weight", "bias")})
            self.convolutions.append(convolution)
            self.layers.append(state[f"lin{stage}.model.1.weight"])
        self.requires_grad_(False).eval()

    def features(self, images: Tensor) -> list[Tensor]:
        """RGB [N, 3, H, W] in [-1, 1] -> five stages [N, C, h, w], each of unit length at every place."""
        first, second, *others = self.convolutions
        x = F.relu(_halve(first((images - self.shift) / self.scale)))
        stages = [x]
        x = F.relu(second(_halve(F.max_pool2d(x, 3, 1))))
        stages.append(x)
        x = _halve(F.max_pool2d(x, 3, 1))
        for convolution in others:
            x = F.relu(convolution(x))
            stages.append(x)
        return [stage / (stage.square().sum(1, keepdim=True).sqrt() + 1e-10) for stage in stages]

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1], both -> distances [N]; 0 for equal images, lower is closer."""
        pairs = zip(self.features(2 * images - 1), self.features(2 * references - 1), self.layers, strict=True)
        distances = [F.conv2d((x - y).square(), layer).mean((1, 2, 3)) for x, y, layer in pairs]
        return torch.stack(distances).sum(0)

    @torch.inference_mode()
    def distance(self, image: Image, reference: Image) -> float:
        """Of two images [H, W, 3] in [0, 1], at least 32 px on each side.

        Raises:
            ValueError: they differ in size, or are smaller.
        """
        if image.shape != reference.shape or image.ndim != 3 or min(image.shape[:2]) < MIN_SIDE_PX:
            raise ValueError(
                f"two images [H, W, 3] of one size, at least {MIN_SIDE_PX} px, are needed, not {list(image.shape)} and "
                f"{list(reference.shape)}"
            )
        planes = [torch.from_numpy(side).float().permute(2, 0, 1)[None] for side in (image, reference)]
        return float(self(*planes))


def load_stlpips() -> StLpips:
    """The network with the authors' weights, from the installed package, which is not imported.

    Raises:
        StLpipsError: the package is absent, or its file is another one.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StLpipsError(f"ST-LPIPS comes with the package {PACKAGE}: pip install --no-deps {PIN}")
    path = Path(spec.origin).parent / WEIGHTS_FILE
    if not path.is_file() or sha256(path) != WEIGHTS_SHA256:
        raise StLpipsError(f"{path}: not the file of {PIN}; run pip install --force-reinstall --no-deps {PIN}")
    return StLpips(torch.load(path, weights_only=True, map_location="cpu"))


def _halve(x: Tensor) -> Tensor:
    """Every second place of a blur by (1, 2, 1) / 4 in both directions, mirrored at the border by 2 px."""
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device) / 4
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])
