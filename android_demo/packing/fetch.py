"""Fetch what the build needs, by coordinates, through the ordinary clients (mvn, npm, pip), and check every sum.

`dependencies.txt` is the one list: role, client, coordinates, sha256. Files land in an ignored folder, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

from training.commandline import UserError, log
from training.files import sha256

DEMO = Path(__file__).parents[1]
LIST = DEMO / "packing" / "dependencies.txt"
CACHE = Path(os.environ.get("POCKET_ANDROID_CACHE", DEMO / ".cache"))
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

Client = Literal["maven", "npm", "pip"]


@dataclass(frozen=True)
class Dependency:
    """roles: compiler, framework (to compile against), app (in the APK), optional (compiled against, not in the APK),
    test, screens (to draw them), tools. coordinates: as the client takes them; Maven's are
    group:artifact:version:type."""

    roles: tuple[str, ...]
    client: Client
    coordinates: str
    sha256: str

    @property
    def file(self) -> str:
        if self.client == "maven":
            _, artifact, version, kind = self.coordinates.split(":")
            return f"{artifact}-{version}.{kind}"
        name, version = self.coordinates.split("==" if self.client == "pip" else "@")
        return f"{name}-{version}-py3-none-any.whl" if self.client == "pip" else f"{name}-{version}.tgz"


def dependencies() -> list[Dependency]:
    rows = (line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#"))
    return [Dependency(tuple(roles.split(",")), cast(Client, client), at, sum_) for roles, client, at, sum_ in rows]


def fetched(role: str, folder: Path = CACHE) -> list[Path]:
    """All files of a role, in the order of the list.

    Raises:
        UserError: a client is not installed or failed, or a file is not the one that was pinned.
    """
    wanted = [item for item in dependencies() if role in item.roles]
    folder.mkdir(parents=True, exist_ok=True)
    for client, get in (("maven", _maven), ("npm", _npm), ("pip", _pip)):
        absent = [item for item in wanted if item.client == client and not (folder / item.file).is_file()]
        if absent:
            log.info("fetching %s", ", ".join(item.coordinates for item in absent))
            with TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
                get(absent, Path(temporary))
                for item in absent:
                    _check(Path(temporary) / item.file, item)
                    (Path(temporary) / item.file).replace(folder / item.file)
    return [folder / item.file for item in wanted]


def unpacked(archive: Path, member: str, folder: Path = CACHE) -> Path:
    """One file out of a zip (jar, aar, wheel), beside it in the cache."""
    target = folder / f"{archive.name}.unpacked" / Path(member).name
    if not target.is_file():
        target.parent.mkdir(exist_ok=True)
        partial = target.with_name(target.name + ".part")
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        partial.chmod(0o755)  # one of them is a program
        partial.replace(target)
    return target


def missing_clients() -> list[str]:
    """Programs that `make android` needs and that are not installed, in words for a skip or an error."""
    needed = {"java": "a JDK 17", "javac": "a JDK 17", "mvn": "maven", "npm": "npm"}
    return sorted({package for program, package in needed.items() if shutil.which(program) is None})


def run(command: Sequence[str | Path], where: Path | None = None) -> str:
    """Run a tool and give back what it printed.

    Raises:
        UserError: not installed, or its exit code is not 0; carries the end of its output.
    """
    try:
        done = subprocess.run([str(part) for part in command], cwd=where, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not installed; see android_demo/README.md for what the build needs") from None
    if done.returncode:
        raise UserError(f"{' '.join(map(str, command[:6]))[:300]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def _check(path: Path, item: Dependency) -> None:
    if not path.is_file():
        raise UserError(f"{item.coordinates}: {item.client} brought no {path.name}; correct {LIST.name}")
    if (found := sha256(path)) != item.sha256:
        raise UserError(f"{item.coordinates}: sha256 is {found}, not the pinned {item.sha256}; do not use this file")


def _maven(items: Sequence[Dependency], folder: Path) -> None:
    """One run of Maven for all; what they depend on is in the list, or left out with intent, so nothing else comes."""
    rows = []
    for item in items:
        group, artifact, version, kind = item.coordinates.split(":")
        rows.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            f"<type>{kind}</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
            "</exclusions></dependency>"
        )
    pom = folder / "pom.xml"
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>pocket</groupId><artifactId>build</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{''.join(rows)}</dependencies></project>"
    )
    run(["mvn", "-q", "-B", "-f", pom, MAVEN_PLUGIN, f"-DoutputDirectory={folder}"])


def _npm(items: Sequence[Dependency], folder: Path) -> None:
    run(["npm", "pack", "--silent", *(item.coordinates for item in items)], folder)


def _pip(items: Sequence[Dependency], folder: Path) -> None:
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, *(i.coordinates for i in items)])
