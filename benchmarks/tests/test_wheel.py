"""The package as others install it: what is in it, and that it enhances a photo where nothing of this folder is seen.

Its dependencies are gigabytes, so the new environment sees those of this one, by a path, in place of a copy.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="building needs hatchling: install the extra 'dev'")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_research_weights_and_tests_stay_out(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    needed = (
        "training/weights/pocket-clean.safetensors",
        "training/data/sample/photos.csv",
        "conversion/contract/SPEC.md",
        "benchmarks/page/templates/index.html.jinja",
    )
    assert {f"pocket_dslr/{name}" for name in needed} <= set(names)
    assert not [name for name in names if "pocket-iphone" in name or "/tests/" in name or "__pycache__" in name]


@pytest.mark.slow
def test_nothing_lands_beside_others(wheel: Path) -> None:
    """One package, whose modules import each other by its name; and it is small."""
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0].split("-")[0] for name in archive.namelist()} == {"pocket_dslr"}
        modules = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")]
    folder = "(training|conversion|benchmarks)"
    loose = re.compile(rf'(?m)^\s*(from|import) {folder}\b|("-m", |import_module\()f?"{folder}\.')
    assert not [match.group() for module in modules for match in loose.finditer(module)]
    assert wheel.stat().st_size < 6e6


@pytest.mark.slow
def test_it_enhances_a_photo_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, *install], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))  # a .pth in there is not read again

    pixels = np.linspace(40, 200, 3 * 90 * 130).reshape(90, 130, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    where = "from pocket_dslr import Enhancer; import sys; print(sys.modules[Enhancer.__module__].__file__)"
    assert Path(run(str(python), "-c", where)).is_relative_to(packages)
    assert run(str(environment / "bin" / "pocket-to-tflite"), "--help").startswith("usage: pocket-to-tflite")
    made = tmp_path / run(str(environment / "bin" / "pocket-enhance"), "photo.png").splitlines()[-1]
    enhanced = np.asarray(Image.open(made))
    assert enhanced.shape == pixels.shape and (enhanced != pixels).any()
