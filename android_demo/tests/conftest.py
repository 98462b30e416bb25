"""What the Kotlin tests share: the tools, or a skip that says what to install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from android_demo.packing import embedded, kotlin
from android_demo.packing.fetch import fetched, missing_clients, run


@pytest.fixture(scope="session")
def tools() -> None:
    if missing := missing_clients():
        pytest.skip(f"Kotlin cannot be compiled here: install {' and '.join(missing)}")


@pytest.fixture(scope="session")
def artifact(tools: None) -> Path:
    """The artifact that the app embeds, made by the converter when absent."""
    pytest.importorskip("executorch", reason="the embedded artifact needs executorch: install the extra 'executorch'")
    return embedded.artifact()


@pytest.fixture(scope="session")
def app_path(tools: None) -> Callable[..., str]:
    """Run the tool among the engine's tests that takes the app's own path: `app_path("enhance", ...)`."""
    classpath = kotlin.engine()
    tests = kotlin.compiled("engine", [*classpath, *fetched("test")], tests=True)

    def call(*arguments: object) -> str:
        jars = ":".join(map(str, [tests, *classpath]))
        return run([*kotlin.JAVA, "-Xmx256m", "-cp", jars, "org.pocketdslr.engine.ToolsKt", *map(str, arguments)])

    return call
