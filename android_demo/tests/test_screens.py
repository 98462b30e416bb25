"""The screens, drawn by Android's own graphics on the JVM."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from android_demo.packing import draw_screens

NAMES = ("benchmark", "empty", "enhancing", "failed", "models", "preview")


@pytest.mark.slow
def test_every_screen_is_drawn(artifact: Path, tmp_path: Path) -> None:
    assert draw_screens.main(["--out", str(tmp_path)]) == 0
    drawn = {path.stem: Image.open(path).convert("RGB") for path in tmp_path.glob("*.png")}
    assert sorted(drawn) == sorted(NAMES)
    assert len({image.size for image in drawn.values()}) == 1
    pictures = {image.tobytes() for image in drawn.values()}
    assert len(pictures) == len(NAMES)  # each shows something else
