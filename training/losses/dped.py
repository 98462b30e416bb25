"""The losses of DPED (section 3.1) with the reductions of the authors' code: the weights belong to these.

All images are RGB [N, 3, H, W] in [0, 1] unless said otherwise; every loss is a scalar.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import norm
from torch import Tensor

BLUR_PX = 21
_LOG_OF_LEAST_PROBABILITY = float(np.log(1e-10))  # the authors clip probabilities there


def content_loss(enhanced_features: Tensor, dslr_features: Tensor) -> Tensor:
    """Mean squared difference of relu5_4 features [N, 512, h, w] (section 3.1.3)."""
    return F.mse_loss(enhanced_features, dslr_features)


def discriminator_loss(logits: Tensor, is_dslr: Tensor) -> Tensor:
    """Cross-entropy of the discriminator, summed over the batch.

    Args:
        logits: [N, 2], column 0 "DSLR", column 1 "enhanced".
        is_dslr: [N] bool, what each patch was.
    """
    log_probability = F.log_softmax(logits.float(), 1).clamp_min(_LOG_OF_LEAST_PROBABILITY)
    return -torch.where(is_dslr, log_probability[:, 0], log_probability[:, 1]).sum()


def texture_loss(logits: Tensor) -> Tensor:
    """Minus the discriminator's cross-entropy where every patch of the batch is an enhanced one (section 3.1.2)."""
    return -discriminator_loss(logits, torch.zeros(len(logits), dtype=torch.bool, device=logits.device))


def blur_kernel() -> Tensor:
    """The authors' 21x21 Gaussian, normalized to 1.

    It is built from differences of the normal cdf with sigma 3 px, but they take the square root of the
    outer product, which widens it to an effective sigma of 3 * sqrt(2) px. The paper's own kernel (equation 2:
    A 0.053, mu 0, sigma 3) sums to 3; the weights of both presets belong to the authors' code.
    """
    sigmas = 3
    step = (2 * sigmas + 1) / BLUR_PX
    borders = np.linspace(-sigmas - step / 2, sigmas + step / 2, BLUR_PX + 1)
    line = np.sqrt(np.diff(norm.cdf(borders)))
    return torch.from_numpy(np.outer(line, line) / line.sum() ** 2).float()


def _blur(images: Tensor) -> Tensor:
    # Separable: the kernel is an outer product. Zero padding, per channel.
    line = blur_kernel().sum(1).to(images)
    channels = images.shape[1]
    x = F.conv2d(images, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(BLUR_PX // 2, 0), groups=channels)
    return F.conv2d(x, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, BLUR_PX // 2), groups=channels)


def colour_loss(enhanced: Tensor, dslr: Tensor) -> Tensor:
    """Sum of squared differences of the blurred images, over 2 N (section 3.1.1)."""
    return _blur(enhanced - dslr).square().sum() / (2 * len(enhanced))


def tv_loss(enhanced: Tensor) -> Tensor:
    """Mean of squared vertical plus mean of squared horizontal differences (section 3.1.4)."""
    return enhanced.diff(dim=2).square().mean() + enhanced.diff(dim=3).square().mean()
