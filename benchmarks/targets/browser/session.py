"""What the page and this computer know of each other: what is served, what has come back, who is there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.report import Protocol
from conversion.artifact import CHECKSUM, MANIFEST, Artifact
from training.commandline import UserError

Array = npt.NDArray[np.float32]
LOST_AFTER_S = 20.0  # without a sign of life, which the page gives every 2 s
SAMPLES_MOST = 1000
TEXT_MOST = 2000


class SessionError(UserError):
    """The measurement ended without a report; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What the page shows of a report."""

    artifact: str
    fidelity: Literal["pass", "fail", "invalid"]
    text: str


@dataclass(frozen=True)
class Timed:
    """What the page measured of one artifact, samples in seconds."""

    load_s: tuple[float, ...]
    analyze_s: tuple[float, ...]
    enhance_s: tuple[float, ...]
    calls: int
    unit: str


@dataclass(frozen=True)
class SamplePhoto:
    """A photo that the page enhances: [H, W, 3] uint8."""

    name: str
    pixels: npt.NDArray[np.uint8]


class Session:
    """One browser, some artifacts, some photos. Requests come in threads; `wait_for` is for the main one."""

    def __init__(self, artifacts: Sequence[Artifact], photos: Sequence[SamplePhoto], protocol: Protocol, backend: str):
        self.photos = photos
        self.numbers = {artifact.folder: number for number, artifact in enumerate(artifacts)}
        self.facts: dict[str, str] = {}
        self.address = ""  # of the browser
        self._changed = threading.Condition()
        self._stopped: str | None = None
        self._started = False
        self._over = False
        self._heard_the_end = False
        self._visited = False
        self._seen_at = time.monotonic()
        self._verdicts: list[Verdict] = []
        self._outputs: dict[tuple[int, int], Array] = {}
        self._timed: dict[int, Timed] = {}
        self.served = {f"photos/{at}": photo.pixels.tobytes() for at, photo in enumerate(photos)}
        listed = []
        for number, artifact in enumerate(artifacts):
            paths = [MANIFEST, CHECKSUM, *(file.path for file in artifact.manifest.files)]
            listed.append(paths)
            self.served |= {f"artifacts/{number}/{path}": (artifact.folder / path).read_bytes() for path in paths}
        sizes = [{"name": p.name, "height": p.pixels.shape[0], "width": p.pixels.shape[1]} for p in photos]
        asked = {"warm_up_runs": protocol.warm_up_runs, "runs": protocol.runs, "threads": protocol.threads}
        told = {"protocol": asked | {"backend": backend}, "artifacts": listed, "photos": sizes}
        self.served["session.json"] = json.dumps(told).encode()

    # What the page says. Each returns what it is answered, or raises ValueError for what the page would never say.

    def most_bytes(self, path: str) -> int:
        """How long the body of a message may be."""
        head, *numbers = path.split("/")
        if head == "outputs" and len(numbers) == 2 and all(n.isdecimal() for n in numbers):
            number, photo = map(int, numbers)
            return self.photos[photo].pixels.size * 4 if photo < len(self.photos) and number < len(self.numbers) else 0
        return 64 * SAMPLES_MOST * 3 if head == "measured" else 2 * TEXT_MOST

    def receive(self, path: str, body: bytes) -> bytes:
        with self._changed:
            self._seen_at, self._visited = time.monotonic(), True
            head, *numbers = path.split("/")
            if head == "started" and not numbers:
                self.facts = _facts(json.loads(body))
                self._started = True
            elif head == "failed" and not numbers:
                self._stopped = self._stopped or _printable(body.decode("utf-8"))
            elif head == "measured" and len(numbers) == 1 and int(numbers[0]) in self.numbers.values():
                self._timed[int(numbers[0])] = _timed(json.loads(body))
            elif head == "outputs" and len(numbers) == 2:
                number, photo = map(int, numbers)
                self._outputs[number, photo] = np.frombuffer(body, "<f4").reshape(self.photos[photo].pixels.shape)
            elif path != "alive":
                raise ValueError(path)
            self._heard_the_end = self._over
            self._changed.notify_all()
            heard = {"verdicts": list(map(asdict, self._verdicts)), "over": self._over, "stopped": self._stopped}
            return json.dumps(heard).encode()

    # What the computer does.

    def show(self, verdict: Verdict) -> None:
        self._verdicts.append(verdict)

    def end(self, why: str | None, patience_s: float) -> None:
        """Let the page know that all is over, and why where it failed; returns when it has asked."""
        with self._changed:
            self._stopped, self._over = self._stopped or why, True
            self._changed.wait_for(lambda: self._heard_the_end, patience_s if self._visited else 0)

    def wait_for(self, artifact: Artifact, wait_s: float) -> tuple[Timed, tuple[Array, ...]]:
        """What the page measured of an artifact, and what it made of the photos.

        Args:
            wait_s: for the visitor to start.

        Raises:
            SessionError: nobody started, the visitor cancelled, the page failed or went away.
        """
        number, until = self.numbers[artifact.folder], time.monotonic() + wait_s
        wanted = [(number, at) for at in range(len(self.photos))]
        with self._changed:
            while number not in self._timed or any(key not in self._outputs for key in wanted):
                now = time.monotonic()
                if self._stopped:
                    raise SessionError(f"{artifact.folder}: {self._stopped}")
                if self._started and now - self._seen_at > LOST_AFTER_S:
                    raise SessionError(
                        f"{artifact.folder}: the connection to the browser is lost; no report is written; keep its "
                        "page in front and start again"
                    )
                if not self._started and now > until:
                    raise SessionError(
                        f"{artifact.folder}: nobody started to measure within {wait_s / 60:g} minutes; no report is "
                        "written; start again with a longer --wait"
                    )
                self._changed.wait(timeout=0.5)
            return self._timed[number], tuple(self._outputs.pop(key) for key in wanted)


def _facts(told: Any) -> dict[str, str]:
    if not isinstance(told, dict) or len(told) > 20:
        raise ValueError("facts are an object")
    return {_printable(key): _printable(value) for key, value in told.items()}


def _timed(told: Any) -> Timed:
    def samples(name: str) -> tuple[float, ...]:
        given = told[name]
        if not isinstance(given, list) or len(given) > SAMPLES_MOST:
            raise ValueError(f"{name} is no list of samples")
        return tuple(float(sample) for sample in given)

    return Timed(
        samples("load_s"), samples("analyze_s"), samples("enhance_s"), int(told["calls"]), _printable(told["unit"])
    )


def _printable(text: str) -> str:
    """Raises ValueError: not a short printable text, as it goes into a terminal and a report."""
    if not isinstance(text, str) or len(text) > TEXT_MOST or not text.isprintable():
        raise ValueError("not printable text")
    return text
