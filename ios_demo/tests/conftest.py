"""The Swift toolchain, where there is one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent
NO_SWIFT = 69  # exit code of linux/swift.sh
Swift = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def swift() -> Swift:
    """Runs a command of the Swift toolchain in ios_demo, with environment variables; skips where Swift is absent."""

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        arguments = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
        return subprocess.run(
            [APP / "linux" / "swift.sh", *arguments], capture_output=True, text=True, errors="replace", check=False
        )

    asked = run("swift", "--version")
    if asked.returncode == NO_SWIFT:
        pytest.skip("Swift is absent: ios_demo/linux/install_swift.sh installs it; the files are parsed by tree-sitter")
    assert asked.returncode == 0, asked.stderr
    return run


@pytest.fixture(scope="session")
def built(swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scratch folder of a build of the package and its tests."""
    scratch = tmp_path_factory.mktemp("swift")
    build = swift("swift", "build", "--build-tests", "--scratch-path", str(scratch))
    assert build.returncode == 0, build.stdout[-4000:] + build.stderr[-2000:]
    return scratch


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which proof of the Swift code this run was."""
    tests = [r for kind in ("passed", "failed", "skipped") for r in terminalreporter.stats.get(kind, [])]
    ours = [report for report in tests if "ios_demo/tests/test_swift" in getattr(report, "nodeid", "")]
    if any(report.passed and report.when == "call" for report in ours):
        terminalreporter.write_line("iOS: Swift built PocketCore and ran it against the golden vectors")
    elif ours:
        terminalreporter.write_line("iOS: Swift is absent; tree-sitter parsed the files, nothing of them ran")
