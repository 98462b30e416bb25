"""What pip installs: everything under one package, `pocket_dslr`, so that no `training` lands beside others.

A wheel holds the folders of this repository below `pocket_dslr/`, with their imports rewritten. An editable install
(`pip install -e .`) leaves them where they are, and adds the package as a door to them. Both have the same commands.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from pathspec import GitIgnoreSpec

PACKAGE = "pocket_dslr"
FOLDERS = ("training", "conversion", "benchmarks")
IMPORT = re.compile(rf"(?m)^(\s*(?:from|import) )({'|'.join(FOLDERS)})(?=[. ])")
DOOR = '''"""Pocket DSLR: `from pocket_dslr import Enhancer`."""

from importlib import import_module
from typing import Any

__all__ = ["Enhancer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("{prefix}training.enhancer"), name)
    raise AttributeError(f"module 'pocket_dslr' has no attribute {{name!r}}")
'''
COMMANDS = '''"""The installed commands."""

import sys
from importlib import import_module
from pathlib import Path

from {prefix}training.commandline import how_to_install


def _main(script: str) -> int:
    try:
        main = import_module("{prefix}" + script).main
    except ModuleNotFoundError as error:
        print(f"{{Path(sys.argv[0]).name}}: {{how_to_install(error.name or str(error))}}", file=sys.stderr)
        return 1
    return main()
'''
COMMAND = """

def {name}() -> int:
    return _main("{module}")
"""


class OnePackage(BuildHookInterface[Any]):
    """Puts rewritten copies into the wheel in place of the folders."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root, target, editable = Path(self.root), Path(self.folder.name), version == "editable"
        if not editable:
            for source in self._sources(root):
                copy = target / source.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(rewritten(source))
        prefix = "" if editable else f"{PACKAGE}."
        (target / "__init__.py").write_text(DOOR.format(prefix=prefix))
        (target / "commands.py").write_text(commands(self.metadata.config["project"]["scripts"], prefix, root))
        build_data["force_include_editable" if editable else "force_include"][str(target)] = PACKAGE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.folder.cleanup()

    def _sources(self, root: Path) -> list[Path]:
        """The files of the folders, but those that `leave-out` in pyproject.toml names, as .gitignore would."""
        left_out = GitIgnoreSpec.from_lines(self.config["leave-out"])
        files = (path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file())
        return [path for path in files if not left_out.match_file(path.relative_to(root).as_posix())]


def rewritten(source: Path) -> bytes:
    content = source.read_bytes()
    if source.suffix != ".py":
        return content
    return IMPORT.sub(rf"\1{PACKAGE}.\2", content.decode("utf-8")).encode("utf-8")


def commands(scripts: dict[str, str], prefix: str, root: Path) -> str:
    """A function for each installed command: `pocket-on-host` is that of benchmarks/on_host.py."""
    text = COMMANDS.format(prefix=prefix)
    for target in scripts.values():
        name = target.partition(":")[2]
        script = next(f"{folder}.{name}" for folder in FOLDERS if Path(root, folder, f"{name}.py").is_file())
        text += COMMAND.format(name=name, module=script)
    return text
