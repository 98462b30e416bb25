"""The package as others install it: what is in it, and that it enhances a photo where nothing of this folder is seen.

The new environments see packages of this one in place of copies: all of them, or only what a light install brings.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

MAX_LIGHT_MB, MAX_HELP_S, MAX_PHOTO_S = 260, 0.3, 1.0
PIP_MB = 25  # pip and setuptools, which an empty environment has


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
        "conversion/releases/pocket-clean/model.tflite",
        "conversion/releases/pocket-clean/MODEL_CARD.md",
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


def make_environment(folder: Path, wheel: Path) -> tuple[Path, Path]:
    """An environment with the wheel alone: its folder of commands, and where its packages lie."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    install = ["-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, *install, str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    return folder / "bin", packages


def run(*command: str | Path, cwd: Path, code: int = 0) -> tuple[list[str], str]:
    """Lines of stdout, and stderr."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout.strip().splitlines(), done.stderr


def photo(path: Path) -> np.ndarray:
    pixels = np.linspace(40, 200, 3 * 90 * 130).reshape(90, 130, 3).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.slow
def test_it_enhances_a_photo_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    commands, packages = make_environment(tmp_path / "environment", wheel)
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))  # a .pth in there is not read again
    pixels = photo(tmp_path / "photo.png")
    where = "from pocket_dslr import Enhancer; import sys; print(sys.modules[Enhancer.__module__].__file__)"
    assert Path(run(commands / "python", "-c", where, cwd=tmp_path)[0][0]).is_relative_to(packages)
    assert run(commands / "pocket-to-tflite", "--help", cwd=tmp_path)[0][0].startswith("usage: pocket-to-tflite")
    weights = packages / "pocket_dslr" / "training" / "weights" / "pocket-clean.safetensors"
    for checkpoint in ("pocket-clean", weights):
        flags = ("--checkpoint", checkpoint, "--overwrite")
        made = run(commands / "pocket-enhance", "photo.png", *flags, cwd=tmp_path)[0][-1]
        enhanced = np.asarray(Image.open(tmp_path / made))
        assert enhanced.shape == pixels.shape and (enhanced != pixels).any()


def needed_by(requirements: list[str]) -> dict[str, Distribution]:
    """All distributions that come with some, as they are installed here; without extras."""
    found: dict[str, Distribution] = {}
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[requirement.name] = distribution(requirement.name)
        queue += [Requirement(text) for text in found[requirement.name].requires or []]
    return found


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    """What `pip install pocket-dslr` gives: commands, packages, and their megabytes on disk."""
    commands, packages = make_environment(tmp_path_factory.mktemp("light") / "environment", wheel)
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    size_bytes = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    for package in needed_by([line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]).values():
        for file in package.files or []:
            source = Path(str(file.locate()))
            if ".." in file.parts or not source.is_file():
                continue
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            (packages / file).symlink_to(source.resolve())
            size_bytes += source.stat().st_size
    return commands, packages, size_bytes / 1e6


def fastest_s(work: Callable[[], object]) -> float:
    """Of three: others work on this machine, too."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@pytest.mark.slow
def test_a_light_install_is_small_and_quick(light: tuple[Path, Path, float], tmp_path: Path) -> None:
    commands, packages, size_mb = light
    assert not (packages / "torch").exists() and size_mb + PIP_MB <= MAX_LIGHT_MB
    pixels = photo(tmp_path / "photo.jpg")
    enhance = commands / "pocket-enhance"
    lines, said = run(enhance, "photo.jpg", cwd=tmp_path)
    assert said.startswith("pocket-clean; licence of the weights: Apache-2.0") and said.count("\n") == 1
    enhanced = np.asarray(Image.open(tmp_path / lines[-1]))
    assert enhanced.shape == pixels.shape and (enhanced != pixels).any()
    assert fastest_s(lambda: run(enhance, "--help", cwd=tmp_path)) <= MAX_HELP_S
    assert fastest_s(lambda: run(enhance, "photo.jpg", "--overwrite", cwd=tmp_path)) <= MAX_PHOTO_S
    script = "import numpy, pocket_dslr, sys; a = numpy.full((9, 9, 3), 99, 'u1'); b = "
    script += "pocket_dslr.Enhancer.load('pocket-clean')(a); print((a != b).any(), 'torch' in sys.modules)"
    assert run(commands / "python", "-c", script, cwd=tmp_path)[0] == ["True False"]


@pytest.mark.slow
def test_what_a_light_install_lacks_is_said(light: tuple[Path, Path, float], tmp_path: Path) -> None:
    commands, packages, _ = light
    photo(tmp_path / "photo.jpg")
    weights = packages / "pocket_dslr" / "training" / "weights" / "pocket-clean.safetensors"
    for command, *flags in (
        ("pocket-train",),
        ("pocket-evaluate",),
        ("pocket-to-tflite",),
        ("pocket-enhance", "photo.jpg", "--checkpoint", weights),
        ("pocket-enhance", "photo.jpg", "--accelerator", "cuda"),
    ):
        _, said = run(commands / command, *flags, cwd=tmp_path, code=1)
        assert len(said.strip().splitlines()) == 1 and "pip install 'pocket-dslr[train]'" in said, (command, said)
    _, said = run(commands / "pocket-enhance", "photo.jpg", "--checkpoint", "absent", cwd=tmp_path, code=1)
    assert "absent: neither a file or folder nor a released name" in said
