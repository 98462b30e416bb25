"""PocketCore compiled by Swift: golden vectors, report, style; the rest of the app parsed by Swift's own parser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from benchmarks.report import Report

pytestmark = pytest.mark.slow
APP = Path(__file__).parent.parent
SOURCES = tuple(f"ios_demo/{folder}" for folder in ("Sources", "App", "Tests"))
CONTRACT = APP.parent / "conversion" / "contract"
TEST = ("swift", "test", "--disable-swift-testing")  # XCTest alone
Swift = Callable[..., "subprocess.CompletedProcess[str]"]


def test_core_reproduces_every_golden_vector(swift: Swift, built: Path, tmp_path: Path) -> None:
    """And the report that Swift wrote on the way is one that Python reads."""
    report = tmp_path / "report.json"
    tests = swift(*TEST, "--skip-build", "--scratch-path", str(built), POCKET_REPORT=str(report))
    said = tests.stdout + tests.stderr
    assert tests.returncode == 0, said[-4000:]
    ran = re.findall(r"Executed (\d+) tests, with (?:\d+ tests? skipped and )?0 failures", said)
    written = sum(
        len(re.findall(r"func test\w+\(", path.read_text()))
        for tests_of in ("PocketCoreTests", "PocketAppTests")
        for path in (APP / "Tests" / tests_of).glob("*.swift")
    )
    assert int(ran[-1]) == written > 0
    read = Report.load(report)
    assert read.to_json() == report.read_text()
    assert read.timing is not None and read.timing.enhance_tile.count == 20
    schema = json.loads((CONTRACT / "report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(report.read_text()))


def test_style(swift: Swift) -> None:
    lint = swift("swift", "format", "lint", "--strict", "--recursive", "Package.swift", *SOURCES)
    assert lint.returncode == 0, (lint.stdout + lint.stderr)[-4000:]


def test_apple_files_are_swift(swift: Swift, tmp_path: Path) -> None:
    """Parsed, not type-checked: their frameworks are on a Mac only. Conditions that hold there are made true here."""
    for path in [*(APP / "Sources" / "PocketApple").glob("*.swift"), *(APP / "App").glob("*.swift"),
                 *(APP / "Tests" / "BenchmarkTests").glob("*.swift")]:  # fmt: skip
        text = re.sub(r"^#if canImport\(CoreML\).*$", "#if true", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    files = sorted(map(str, tmp_path.glob("*.swift")))
    assert len(files) > 15
    parsed = swift("swiftc", "-frontend", "-parse", *files)
    assert parsed.returncode == 0, parsed.stderr[-4000:]


MISTAKES = {  # file: what is right, a mistake, and the test that must find it
    "PocketCore/TilePlan.swift": ("Span(origin: at - halo,", "Span(origin: at,", "testTilePlans"),
    "PocketCore/Levels.swift": ("(value * 255 + 0.5).rounded", "(value * 255 + 0.499).rounded", "testRounding"),
    "PocketCore/Orientation.swift": ("Right: (height - 1 - x, y)", "Right: (x, y)", "testOrientation"),
    "PocketCore/Thumbnail.swift": ("($0 + weight / 2)", "($0 + weight / 3)", "testThumbnails"),
    "PocketCore/Json.swift": ("forKey: key) == nil else", "forKey: key) != .null else", "testManifests"),
    "PocketApp/DeliveryReducer.swift": (
        "guard file.content == shown else",
        "guard file.content.photo == shown.photo else",
        "testFault3StrengthIsTheOneOfTheSliderWhenThePhotoIsSaved",
    ),
    "PocketApp/PhotoReducer.swift": (
        "var effects = dropDelivery(saying: .notSaved) + endSharing()",
        "var effects = endSharing()",
        "testFault1APhotoThatWasReplacedWhileItWasEncodedIsNotSaved",
    ),
    "PocketApp/EngineReducer.swift": (
        "engine = .stopping(work.job)",
        "engine = .idle",
        "testFault9ABenchmarkAndAnEnhancementNeverRunAtOnce",
    ),
    "PocketApp/AppReducer.swift": (
        "return [.limitEngine(toBackground: true)]",
        "return []",
        "testFault7TheGpuIsLeftBeforeAnythingElseInTheBackground",
    ),
}


def test_mistakes_are_found(swift: Swift, tmp_path: Path) -> None:
    """In a copy: five mistakes of the core and four of the state of the app, each found where it should be."""
    copy = tmp_path / "ios_demo"
    for part in ("Sources", "Tests/PocketCoreTests", "Tests/PocketAppTests"):
        shutil.copytree(APP / part, copy / part)
    shutil.copy(APP.parent / "Package.swift", tmp_path)
    shutil.copytree(CONTRACT, tmp_path / "conversion" / "contract")
    for name, (right, wrong, _) in MISTAKES.items():
        path = copy / "Sources" / name
        assert path.read_text().count(right) == 1, name
        path.write_text(path.read_text().replace(right, wrong))
    tests = swift(*TEST, "--package-path", str(tmp_path), "--scratch-path", str(tmp_path / "build"))
    said = tests.stdout + tests.stderr
    assert tests.returncode != 0
    for name, (_, _, finder) in MISTAKES.items():
        assert re.search(rf"\.{finder}' failed", said), f"{finder} did not find the mistake in {name}: {said[-2000:]}"
