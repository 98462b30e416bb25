"""What a phone says of itself, from what Android's own commands print."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from benchmarks.targets.device.adb import Adb, AdbError
from benchmarks.targets.device.phone_state import State, conditions, cool_down, facts, is_emulated, state, thermal_state

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 87
  scale: 100
  temperature: 312
  technology: Li-ion
"""


@dataclass
class Says:
    """Stands in for an Adb: what each command prints; a list is said line by line, the last one again and again."""

    answers: dict[str, str | list[str]] = field(default_factory=dict)
    serial: str = "made-up"

    def shell(self, script: str) -> str:
        found = []
        for part in script.replace(" 2>/dev/null || true", "").split("; "):
            answer = self.answers.get(part, "")
            found.append(answer.pop(0) if isinstance(answer, list) and len(answer) > 1 else answer)
        texts = [text[0] if isinstance(text, list) else text for text in found]
        return "".join(text if text.endswith("\n") else text + "\n" for text in texts)


def phone(**answers: str | list[str]) -> Adb:
    known = {
        "battery": "dumpsys battery",
        "thermal": "dumpsys thermalservice",
        "low_power": "settings get global low_power",
        "model": "getprop ro.product.model",
        "qemu": "getprop ro.kernel.qemu",
    }
    return Says({known[name]: answer for name, answer in answers.items()})  # type: ignore[return-value]


def test_state_of_a_phone() -> None:
    now = state(phone(battery=BATTERY, thermal="Thermal Status: 1\n", low_power="0\n"))
    assert now == State("fair", 31.2, 87.0, True, False)
    assert conditions(now, now).temperature_after_c == 31.2


def test_what_a_phone_does_not_tell_is_none() -> None:
    assert state(phone()) == State(None, None, None, None, None)
    assert state(phone(low_power="null\n", thermal="Can't find service\n")) == State(None, None, None, None, None)


@pytest.mark.parametrize(
    ("status", "named"), [(0, "nominal"), (1, "fair"), (2, "serious"), (3, "critical"), (6, "critical")]
)
def test_thermal_states(status: int, named: str) -> None:
    assert thermal_state(phone(thermal=f"IsStatusOverride: false\nThermal Status: {status}\nCached\n")) == named


def test_cool_down_waits_for_a_warm_phone_but_not_for_ever() -> None:
    waited: list[float] = []
    warm, cool = "Thermal Status: 2", "Thermal Status: 0"
    assert cool_down(phone(thermal=[warm, warm, cool]), 5.0, waited.append).thermal == "nominal"
    assert waited == [5.0, 10.0, 10.0]
    waited.clear()
    assert cool_down(phone(thermal=warm), 0.0, waited.append).thermal == "serious"
    assert 600 <= sum(waited) < 620


def test_facts_are_printable_and_absent_ones_left_out() -> None:
    assert facts(phone(model="Pixel\t\x1b[31m 8" + 300 * "x")) == {"model": ("Pixel  [31m 8" + 300 * "x")[:200]}


def test_an_emulator_is_known() -> None:
    assert is_emulated(phone(qemu="1")) and not is_emulated(phone())


def test_a_service_that_fails_is_none() -> None:
    class Fails(Says):
        def shell(self, script: str) -> str:
            raise AdbError("gone")

    assert thermal_state(Fails()) is None  # type: ignore[arg-type]
