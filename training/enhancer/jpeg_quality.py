"""The quality at which a JPEG was written, by its quantization table: results are written at about the same."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

# Luminance at quality 50 (ITU-T T.81, table K.1); the Independent JPEG Group's encoder scales it by its quality.
TABLE_AT_50 = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
    51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120,
    101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
MIN_QUALITY, MAX_QUALITY = 85, 95


def quality_for(photo: Path) -> int:
    """From MIN_QUALITY to MAX_QUALITY: near the photo's own if it is a JPEG, else MAX_QUALITY."""
    try:
        with Image.open(photo) as image:
            table = getattr(image, "quantization", {}).get(0)
    except Exception:  # Pillow raises anything on a broken file; reading its pixels will say what is wrong
        table = None
    if not table or len(table) != len(TABLE_AT_50):
        return MAX_QUALITY
    percent = 100 * sum(table) / sum(TABLE_AT_50)  # of the table at 50
    quality = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return max(MIN_QUALITY, min(MAX_QUALITY, round(quality)))
