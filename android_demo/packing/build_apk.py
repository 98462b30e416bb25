"""python android_demo/packing/build_apk.py

Builds a signed APK of the demo app without Android Studio or Google's repository: resources (aapt2), Kotlin, D8,
native libraries at pages of 16 KB, apksigner. It makes the artifact that the app embeds when there is none.
`make android` runs it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from android_demo.packing import embedded, kotlin, resources
from android_demo.packing.aligned_apk import misaligned, write_apk
from android_demo.packing.fetch import CACHE, DEMO, fetched, missing_clients
from android_demo.packing.fetch import run as run_tool
from conversion.artifact import Artifact
from training.commandline import UserError, log, run
from training.files import write_text

ABIS = ("arm64-v8a", "x86_64")
METADATA, UNREAD = b"Lkotlin/Metadata;", b"Lkotlin/Unread__;"


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build_apk.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--artifact",
        type=Path,
        help=f"ExecuTorch artifact to embed (default: {embedded.MODEL}, made when there is none)",
    )
    add("--out", type=Path, default=DEMO / "build" / "pocket-dslr.apk", help="(default: %(default)s)")
    return parser


def build(args: argparse.Namespace) -> Path:
    if missing := missing_clients():
        raise UserError(f"the APK needs {' and '.join(missing)}; install them")
    artifact = Artifact.load(args.artifact or embedded.artifact()).verify()
    base = resources.linked(artifact)
    app, engine, core = kotlin.app(resources.r_classes())[:3]
    dex = dexed([app, engine, core, resources.r_classes(), *kotlin.app_libraries()])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    unsigned, signed = kotlin.BUILD / "unsigned.apk", kotlin.BUILD / "signed.apk"
    write_apk(unsigned, entries(base, dex))
    sign(unsigned, signed)
    check(signed)
    signed.replace(args.out)
    log.info("%s", listing(args.out))
    return args.out


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
    run_tool([
        *kotlin.JAVA, "-Xmx1500m", "-cp", resources.wheel_tool("bundletool-all-1.17.2.jar"), "com.android.tools.r8.D8",
        "--release", "--min-api", resources.versions()["min-sdk"], "--output", folder, *inputs,
    ])  # fmt: skip
    if len(made := sorted(folder.glob("classes*.dex"))) != 1:
        raise UserError(f"{folder}: D8 made {len(made)} dex files, and one is packed")
    return made[0].read_bytes()


def entries(base: Path, dex: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(base) as linked:
        for name in linked.namelist():
            yield name, linked.read(name)
    yield "classes.dex", dex
    for abi in ABIS:
        yield (
            f"lib/{abi}/libexecutorch.so",
            (
                kotlin.executorch() / "package/third-party/android/libs/executorch" / abi / "libexecutorch.so"
            ).read_bytes(),
        )
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
        "java", "-jar", resources.wheel_tool("apksigner.jar"), "sign", "--ks", store, "--ks-pass",
        "pass:android", "--v1-signing-enabled", "false", "--v2-signing-enabled", "true", "--v3-signing-enabled", "true",
        "--out", signed, unsigned,
    ])  # fmt: skip


def check(apk: Path) -> None:
    """Raises UserError: a tool of Android refuses the APK, an ABI is missing, or a library is not aligned."""
    run_tool(
        [
            "java",
            "-jar",
            resources.wheel_tool("apksigner.jar"),
            "verify",
            "--verbose",
            "--min-sdk-version",
            resources.versions()["min-sdk"],
            apk,
        ]
    )
    badging = run_tool([resources.aapt2(), "dump", "badging", apk])
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
