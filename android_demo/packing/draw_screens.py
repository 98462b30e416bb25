"""python android_demo/packing/draw_screens.py

Draws the app's screens with Android's own graphics on the JVM (Robolectric) and writes them as PNG. What Robolectric
needs of `androidx.test` is in `screens/kotlin`. The last line is the folder.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from android_demo.packing import embedded, kotlin, resources
from android_demo.packing.fetch import CACHE, DEMO, fetched, missing_clients
from android_demo.packing.fetch import run as run_tool
from conversion.artifact import Artifact
from training.commandline import UserError, log, run

SOURCES = DEMO / "screens" / "kotlin"
TEST = "org.pocketdslr.app.ScreensTest"
OPENED = ("--add-opens", "java.base/java.io=ALL-UNNAMED", "--add-opens", "java.base/java.lang=ALL-UNNAMED")


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="draw_screens.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=DEMO / "build" / "screens", help="(default: %(default)s)")
    return parser


def draw(args: argparse.Namespace) -> Path:
    if missing := missing_clients():
        raise UserError(f"drawing the screens needs {' and '.join(missing)}; install them")
    base = resources.linked(Artifact.load(embedded.artifact()).verify())
    r_classes, robolectric = resources.r_classes(), fetched("screens")
    app = kotlin.app(r_classes)
    framework = fetched("framework")  # its classes are for newer Java; Robolectric has its own
    screens = kotlin.BUILD / "screens.jar"
    log.info("compiling %s", screens.stem)
    kotlin.compile_to(screens, sorted(SOURCES.rglob("*.kt")), [*app, r_classes, *robolectric], app[0])
    settings = kotlin.BUILD / "screens-settings"
    write_settings(settings, base)
    args.out.mkdir(parents=True, exist_ok=True)
    path = [settings, screens, *(jar for jar in app if jar not in framework), r_classes, *robolectric]
    log.info("drawing")
    run_tool([
        *kotlin.JAVA, "-Xmx2g", *OPENED, "-Drobolectric.offline=true",
        f"-Drobolectric.dependency.dir={CACHE.resolve()}",
        f"-Dscreens={args.out.resolve()}", "-cp", ":".join(map(str, path)), "org.junit.runner.JUnitCore", TEST,
    ])  # fmt: skip
    return args.out


def write_settings(folder: Path, base: Path) -> None:
    """Where Robolectric finds what Gradle would tell it."""
    shutil.rmtree(folder, ignore_errors=True)
    file = folder / "com" / "android" / "tools" / "test_config.properties"
    file.parent.mkdir(parents=True)
    file.write_text(
        f"android_merged_manifest={base.with_name('AndroidManifest.xml').resolve()}\n"
        f"android_resource_apk={base.resolve()}\nandroid_merged_assets={base.with_name('assets').resolve()}\n"
        f"android_custom_package={resources.PACKAGE}\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), draw, argv)


if __name__ == "__main__":
    raise SystemExit(main())
