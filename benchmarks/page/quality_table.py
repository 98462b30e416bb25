"""The rows that evaluate.py wrote (`quality.json`) as a table, the best of each column marked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from training.commandline import UserError

QUALITY_COLUMNS = {  # key in the rows of evaluate.py: label, decimals, is larger better (None: neither)
    "params": ("Parameters", 0, None),
    "mac_per_px": ("MAC/px", 0, None),
    "psnr_mean_of_images_db": ("PSNR, dB, mean of images", 2, True),
    "psnr_of_mean_mse_db": ("PSNR, dB, of mean MSE", 2, True),
    "ssim": ("SSIM", 4, True),
    "ms_ssim": ("MS-SSIM", 4, True),
    "delta_e_2000": ("ΔE 2000", 2, False),
}


class QualityError(UserError):
    """There is no table in a file; the message names it."""


def load_quality(path: Path) -> dict[str, Any]:
    """The rows that evaluate.py wrote, as a table.

    Raises:
        QualityError: not such a file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        names = [str(row["model"]) for row in rows]
        first = rows[0]
        images, simulated, split = (first.get(key) for key in ("images", "simulated_images", "split"))
        values = {key: [_number(row[key]) for row in rows] for key in QUALITY_COLUMNS}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise QualityError(f"{path}: not the rows of evaluate.py ({error!r:.200}); write them again") from error
    table: list[dict[str, Any]] = [{"name": name, "cells": []} for name in names]
    for key, (_, decimals, larger_is_better) in QUALITY_COLUMNS.items():
        known = [value for value in values[key] if value is not None]
        best = None if larger_is_better is None or not known else (max if larger_is_better else min)(known)
        for row, value in zip(table, values[key], strict=True):
            text = "—" if value is None else f"{value:,.{decimals}f}"
            row["cells"].append({"text": text, "best": value is not None and value == best})
    phone = "simulated" if simulated == images else f"simulated in {simulated} of them" if simulated else "real"
    pairs = "" if images is None else f"{images} photo pairs of the {split} split, phone side {phone}. "
    return {
        "columns": [label for label, _, _ in QUALITY_COLUMNS.values()],
        "rows": table,
        "protocol": f"{pairs}Whole photos against the DSLR "
        "photo: float, RGB, sRGB-encoded, clamped to [0, 1], not rounded. The two PSNR protocols lie decibels apart: "
        "the mean of the photos' PSNR, and the PSNR of their mean squared error. identity is the phone photo as it is.",
    }


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is not a number")
    return float(value)
