from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.page.curves import HEIGHT, LEFT, WIDTH, CurveError, draw, load_curves


def log_row(step: int, /, **values: object) -> dict[str, object]:
    scores = {"psnr_mean_of_images_db": 20.0 + step / 100, "identity_psnr_mean_of_images_db": 18.0}
    return {"step": step, "minutes": step / 60, "loss": {"total": 1 / step, "<b>": 2.0}} | scores | values


def test_a_log_becomes_one_curve_per_loss_and_one_for_psnr(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(log_row(step)) + "\n" for step in (100, 200, 300)))
    psnr, total, flat = load_curves(tmp_path)
    assert "dB" in psnr.title and psnr.baseline is not None and psnr.ticks[2][1] == "18"
    assert (psnr.first, psnr.last) == ("step 100", "step 300")
    assert total.title == "Loss: total" and flat.title == "Loss: <b>"
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", total.path)]
    assert len(heights) == 3 and heights == sorted(heights)  # falls, and y grows downwards


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_lines_stay_inside_the_drawing(values: list[float]) -> None:
    curve = draw("t", [float(step) for step in range(len(values))], values)
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", curve.path)]
    assert all(LEFT <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points) and len(points) >= 2


NOT_A_LOG = ["", "1", "[]", "{", json.dumps(log_row(1, step="x")), json.dumps(log_row(1, loss=3)), "[" * 100_000]


@pytest.mark.parametrize("text", [*NOT_A_LOG, json.dumps(log_row(1, minutes=float("nan")))])
def test_other_files_are_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(CurveError, match=r"log\.jsonl: not the log of train\.py"):
        load_curves(tmp_path)


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match="No such file"):
        load_curves(tmp_path)
