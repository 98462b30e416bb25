"""The package as others install it: what is in it, and that it enhances a photo where nothing of this folder is seen.

Its dependencies are gigabytes, so the new environment sees those of this one, by a path, in place of a copy.
"""

from __future__ import annotations

import os
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
    assert {"training/weights/pocket-clean.safetensors", "conversion/contract/SPEC.md"} <= set(names)
    assert "benchmarks/page/templates/index.html.jinja" in names
    assert not [name for name in names if "pocket-iphone" in name or "/tests/" in name or "__pycache__" in name]


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

    where = "import training; print(training.__file__)"
    assert Path(run(str(python), "-c", where)).is_relative_to(packages)
    made = tmp_path / run(str(environment / "bin" / "pocket-enhance"), "photo.png")
    enhanced = np.asarray(Image.open(made))
    assert enhanced.shape == pixels.shape and (enhanced != pixels).any()
