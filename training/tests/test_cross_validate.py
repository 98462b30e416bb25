"""Cross-validation: folds partition the pairs, figures put together equal those of all pairs, the script end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training import cross_validate
from training.data.pairs import PairError, find_pairs, fold_of
from training.quality.metrics import mse_to_psnr


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for split, count in (("training_data", 5), ("test_data/patches", 2)):
        for folder in ("iphone", "canon"):
            (root / split / folder).mkdir(parents=True)
            for k in range(count):
                pixels = np.random.default_rng(k).integers(0, 200, (100, 100, 3), np.uint8) // (
                    1 + (folder == "iphone")
                )
                Image.fromarray(pixels).save(root / split / folder / f"{k}.png")
    return root


def test_folds_partition_the_pairs(pairs_folder: Path) -> None:
    splits = find_pairs(pairs_folder)
    folds = [fold_of(splits, k, 3) for k in range(3)]
    held_out = [pair for fold in folds for pair in fold.validation]
    assert len(held_out) == 7 and {pair.phone for pair in held_out} == {
        pair.phone for pair in (*splits.train, *splits.validation)
    }
    for fold in folds:
        assert not {pair.phone for pair in fold.train} & {pair.phone for pair in fold.validation}
        assert len(fold.train) + len(fold.validation) == 7
    for fold, count in ((3, 3), (-1, 3), (0, 8)):
        with pytest.raises(PairError, match="fold"):
            fold_of(splits, fold, count)


@given(st.lists(st.lists(st.floats(1e-4, 0.5), min_size=1, max_size=9), min_size=1, max_size=5))
def test_folds_together_equal_all_images_at_once(errors: list[list[float]]) -> None:
    def row(of: list[float]) -> dict[str, object]:
        return {
            "model": "m", "params": 1, "mac_per_px": 2.0, "images": len(of), "ms_ssim": float(np.mean(of)),
            "delta_e_2000": float(np.mean(of)),
            "psnr_mean_of_images_db": float(np.mean([mse_to_psnr(e) for e in of])),
            "psnr_of_mean_mse_db": mse_to_psnr(float(np.mean(of))),
        }  # fmt: skip

    together, at_once = cross_validate.together([row(of) for of in errors]), row([e for of in errors for e in of])
    assert together.pop("model") == at_once.pop("model")
    assert together == pytest.approx(at_once, rel=1e-9)


@pytest.mark.slow
def test_as_a_user_runs_it(pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--pairs", str(pairs_folder), "--folds", "2", "--out", str(tmp_path / "cv")]
    train_flags = ["--", "--steps", "2", "--batch", "2", "--patch", "64", "--accelerator", "cpu"]
    assert cross_validate.main([*flags, *train_flags]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "cv")
    result = json.loads((tmp_path / "cv" / "folds.json").read_text())
    assert [row["model"] for row in result["models"]] == ["identity", "pocket"]
    assert result["models"][1]["images"] == 7 and [rows[0]["images"] for rows in result["folds"]] == [3, 4]
    assert cross_validate.main([*flags, "--", "--steps", "0x"]) == 1
    assert "run the same command again" in capsys.readouterr().err.splitlines()[-1]
