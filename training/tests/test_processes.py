"""Two gloo processes: together they see one process's samples, take one process's gradient, and make one checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.checkpoint import load_tensors

# One step of a recipe as train.py does it; what its gradients are, into a file.
ONE_STEP = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from training import generators
from training.data.batches import Batches
from training.data.pairs import find_pairs
from training.loop.processes import make_fabric
from training.loop.recipes import make_recipe
from training.data.shards import load_samples

root, out, preset, name, patch_px, packed = sys.argv[1:]
fabric = make_fabric("cpu", "32-true", 4)
torch.manual_seed(0)
generator = generators.build(name)
recipe = make_recipe(preset, fabric, generator, None, None)
sets = [load_samples(Path(packed), int(patch_px), generator.thumbnail_px, 0)] if packed else []
batches = Batches(find_pairs(Path(root)).train, steps=10, batch=4, patch_px=int(patch_px),
                  thumbnail_px=generator.thumbnail_px, seed=0, packed=sets, packed_share=0.5, rank=fabric.global_rank,
                  processes=fabric.world_size, batches_per_step=recipe.batches_per_step)
recipe.step(0, [batch.to(fabric.device) for batch in batches[0]], 0.01)
if fabric.is_global_zero:
    gradients = {f"{net}.{key}": p.grad for net, m in recipe.modules.items() for key, p in m.named_parameters()}
    save_file({key.replace("_forward_module.", "").replace("module.", ""): g.contiguous()
               for key, g in gradients.items()}, out)
"""


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for side in ("iphone", "canon"):
        (root / side).mkdir()
    for k in range(8):
        phone = random.integers(30, 150, (11, 10 + k, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        Image.fromarray(phone).save(root / "iphone" / f"{k}.png")
        Image.fromarray(np.clip(phone * [1.4, 1.3, 1.1], 0, 255).astype(np.uint8)).save(root / "canon" / f"{k}.png")
    return root


def launch(repository: Path, processes: int, *command: str) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] * (processes > 1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository)}
    ran = subprocess.run([sys.executable, *torchrun, *command], env=environment, capture_output=True, text=True,
                         timeout=900, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "name", "patch_px", "packed"),
    [("pixel", "pocket", 48, True), ("code", "ppcn_student", 100, False)],
)
def test_the_gradient_is_that_of_one_process(
    repository: Path, pairs_folder: Path, tmp_path: Path, preset: str, name: str, patch_px: int, packed: bool
) -> None:
    from training.data import pack

    (tmp_path / "step.py").write_text(ONE_STEP)
    if packed:
        flags = ["--pairs", str(pairs_folder), "--patch", "64", "--out", str(tmp_path / "packed")]
        assert pack.main([*flags, "--shard-mb", "0.05"]) == 0
    samples = str(tmp_path / "packed") if packed else ""
    for count in (1, 2):
        out = str(tmp_path / f"{count}.safetensors")
        launch(
            repository, count, str(tmp_path / "step.py"), str(pairs_folder), out, preset, name, str(patch_px), samples
        )
    from safetensors.torch import load_file

    one, two = (load_file(tmp_path / f"{count}.safetensors") for count in (1, 2))
    assert one.keys() == two.keys() and (preset != "code" or any(key.startswith("discriminator") for key in one))
    for key, gradient in one.items():  # that of a bias before a norm is 0 but for rounding: each network has one scale
        scale = max(
            float(value.abs().max()) for other, value in one.items() if other.split(".")[0] == key.split(".")[0]
        )
        torch.testing.assert_close(two[key], gradient, atol=1e-5 * scale, rtol=1e-3, msg=f"gradient of {key}")


@pytest.mark.slow
def test_train_py_under_torchrun(repository: Path, pairs_folder: Path, tmp_path: Path) -> None:
    flags = [str(repository / "training" / "train.py"), "--pairs", str(pairs_folder), "--batch", "4", "--patch", "64",
             "--validate-every", "2", "--accelerator", "cpu"]  # fmt: skip
    launch(repository, 1, *flags, "--steps", "4", "--out", str(tmp_path / "one"))
    launch(repository, 2, *flags, "--steps", "4", "--out", str(tmp_path / "two"))
    rows = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert [row["step"] for row in rows[1]] == [2, 4]
    for one, two in zip(*rows, strict=True):
        assert two["psnr_mean_of_images_db"] == pytest.approx(one["psnr_mean_of_images_db"], abs=0.02)
    one, two = (load_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    difference = torch.cat([(one[key] - two[key]).flatten() for key in one])
    moved = torch.cat([one[key].flatten() for key in one])
    assert difference.norm() < 0.01 * moved.norm()


def test_a_batch_that_cannot_be_shared_is_refused(
    monkeypatch: pytest.MonkeyPatch, pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import train

    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "3")
    assert train.main(["--pairs", str(pairs_folder), "--batch", "16", "--out", str(tmp_path / "run")]) == 1
    assert "--batch 16: 6 processes share it evenly" in capsys.readouterr().err
