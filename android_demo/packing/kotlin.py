"""Compile Kotlin modules as the Gradle build does, but with jars by coordinates alone: core, engine, app, and tests."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from android_demo.packing.fetch import DEMO, fetched, run, unpacked
from training.commandline import UserError, log
from training.files import sha256

BUILD = DEMO / "build" / "packing"
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # short runs: the second compiler would not pay
LANGUAGE = ("-no-stdlib", "-no-reflect", "-Xjdk-release=11", "-jvm-target", "11", "-Werror")
EXECUTORCH_JAR = "package/android/libs/classes.jar"  # inside the npm package


def compiled(module: str, classpath: Sequence[Path], *, tests: bool = False, generated: Path | None = None) -> Path:
    """A module's classes as a jar, made anew when a source or the classpath changed.

    Args:
        module: core, engine or app.
        tests: its tests instead.
        generated: a jar of classes that its sources need, such as R.

    Raises:
        UserError: the compiler refused the sources; carries what it said.
    """
    sources = DEMO / module / "src" / ("test" if tests else "main") / "kotlin"
    files = sorted(sources.rglob("*.kt"))
    if not files:
        raise UserError(f"{sources}: no Kotlin file in this folder")
    given = [*classpath, *([generated] if generated else [])]
    target = BUILD / f"{module}{'-tests' if tests else ''}.jar"
    mark = target.with_suffix(".sources")
    state = _state([*files, *given])
    if target.is_file() and mark.is_file() and mark.read_text() == state:
        return target
    log.info("compiling %s", target.stem)
    BUILD.mkdir(parents=True, exist_ok=True)
    compile_to(target, files, given)
    mark.write_text(state)
    return target


def compile_to(target: Path, files: Sequence[Path], classpath: Sequence[Path], friend: Path | None = None) -> None:
    """friend: a jar on the classpath whose internal declarations the sources may use.

    Raises:
        UserError: the compiler refused the sources.
    """
    compiler = ":".join(map(str, fetched("compiler")))
    partial = target.with_suffix(".part.jar")
    run([
        *JAVA, "-Xmx1500m", "-cp", compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", *LANGUAGE,
        *([f"-Xfriend-paths={friend}"] if friend else []), "-module-name", target.stem,
        "-cp", ":".join(map(str, classpath)), "-d", partial, *files,
    ])  # fmt: skip
    partial.replace(target)


def _state(files: Sequence[Path]) -> str:
    return hashlib.sha256("".join(f"{file.name} {sha256(file)}\n" for file in files).encode()).hexdigest()


def standard_library() -> Path:
    return next(path for path in fetched("app") if path.name.startswith("kotlin-stdlib"))


def executorch() -> Path:
    """The npm package of ExecuTorch for Android, unpacked: Java classes and native libraries."""
    archive = next(path for path in fetched("app") if path.suffix == ".tgz")
    folder = archive.with_name(archive.stem)
    if not folder.is_dir():
        partial = archive.with_name(f".{archive.stem}.part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.unpack_archive(archive, partial, filter="data")
        partial.replace(folder)
    return folder


def app_libraries() -> list[Path]:
    """The jars whose classes go into the APK."""
    others = [path for path in fetched("app") if path.suffix != ".tgz"]
    return [
        executorch() / EXECUTORCH_JAR,
        *(path if path.suffix == ".jar" else unpacked(path, "classes.jar") for path in others),
    ]


def optional_libraries() -> list[Path]:
    """The jars that sources are compiled against and that an app may lack."""
    return [unpacked(path, "classes.jar") for path in fetched("optional")]


def core() -> list[Path]:
    """core alone, and what it runs with."""
    library = standard_library()
    return [compiled("core", [library]), library]


def engine() -> list[Path]:
    """engine, and what it runs with."""
    libraries = [*core(), *app_libraries(), *optional_libraries()]
    return [compiled("engine", libraries), *dict.fromkeys(libraries)]


def app(r_classes: Path) -> list[Path]:
    """app, engine and core, and what they run with; the framework at the end."""
    libraries = [*engine(), *fetched("framework")]
    return [compiled("app", libraries, generated=r_classes), *libraries]
