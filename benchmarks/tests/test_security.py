"""SECURITY.md promises what tests prove, and the packages are those whose hashes are known."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

from training.losses import perceptual
from training.losses.perceptual import VggError, load_vgg19

PROOF = re.compile(r"`([\w/]+/tests/test_\w+\.py)::(test_\w+)`")


def test_every_promise_names_tests_that_exist(repository: Path) -> None:
    text = (repository / "SECURITY.md").read_text(encoding="utf-8")
    proofs = PROOF.findall(text)
    assert len(proofs) > 30 and len(proofs) == text.count("::"), "each is written as file::test"
    for file, test in proofs:
        tree = ast.parse((repository / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


def test_nothing_unpickles_but_weights_of_pinned_packages(repository: Path) -> None:
    """pickle, torch.load without weights_only, numpy with allow_pickle."""
    found = []
    for package in ("training", "conversion", "benchmarks", "android_demo"):
        for path in (repository / package).rglob("*.py"):
            if "tests" in path.parts or path.name == "faults_models.py":  # which makes pickles, for all to refuse
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                found += [f"{path.name}: {name}" for name in names if name in ("pickle", "dill", "shelve", "marshal")]
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
                    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    if "torch" in ast.unparse(node.func):
                        assert arguments.get("weights_only") == "True", path
                        found.append(f"{path.name}: torch.load")
                    assert arguments.get("allow_pickle", "False") == "False", path
    assert sorted(found) == ["perceptual.py: torch.load", "stlpips.py: torch.load"]


def test_the_lock_has_hashes_of_exactly_the_pins(repository: Path) -> None:
    pins = re.findall(r"^([\w.-]+==\S+)$", (repository / "constraints.txt").read_text(), re.MULTILINE)
    lock = (repository / "constraints.lock").read_text()
    entries = re.findall(r"^([\w.-]+==\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", lock, re.MULTILINE)

    def plain(pin: str) -> str:
        name, _, version = pin.partition("==")
        return re.sub(r"[-_.]+", "-", name).lower() + "==" + version

    assert len(pins) > 100 and {plain(pin) for pin in pins} == {plain(pin) for pin, _ in entries}
    assert not re.search(r"https?:|--index|--find-links", lock), "no index address"


def test_the_one_pickle_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    load_vgg19()
    monkeypatch.setattr(perceptual, "_PACKAGED_SHA256", "0" * 64)
    monkeypatch.setattr(torch, "load", pytest.fail)
    with pytest.raises(VggError):
        load_vgg19()
