"""What an Android phone says of itself: its build, its battery, how hot it is. What it does not tell is None."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.report.measured import Conditions, Thermal
from benchmarks.targets.device.adb import Adb, AdbError, printable

FACT_MAX = 200  # characters
PROPERTIES = {  # never a serial number or anything else that names one device
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc": "ro.soc.model",
    "board": "ro.board.platform",
    "abi": "ro.product.cpu.abi",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "security_patch": "ro.build.version.security_patch",
    "build": "ro.build.fingerprint",
}
THERMAL: tuple[Thermal, ...] = (
    "nominal",
    "fair",
    "serious",
)  # Android's none, light, moderate; from severe on critical
COOL_ENOUGH: tuple[Thermal | None, ...] = ("nominal", None)
COOLED_MOST_S = 600.0
POLL_S = 10.0


@dataclass(frozen=True)
class State:
    thermal: Thermal | None
    temperature_c: float | None
    battery_percent: float | None
    charging: bool | None
    low_power_mode: bool | None


def facts(adb: Adb) -> dict[str, str]:
    """What a report says of the device.

    Raises:
        AdbError: its answers are no answers.
    """
    said = adb.shell("; ".join(f"getprop {key}" for key in PROPERTIES.values())).splitlines()
    if len(said) != len(PROPERTIES):
        raise AdbError(f"device {adb.serial!r}: answers {len(PROPERTIES)} questions by {len(said)} lines, so nobody "
                       "knows what it is; use another device")  # fmt: skip
    told = zip(PROPERTIES, map(printable, said), strict=True)
    return {name: value[:FACT_MAX] for name, value in told if value}


def is_emulated(adb: Adb) -> bool:
    """Whether the device says that it is an emulator, whose times are no phone's."""
    marks = ("ro.kernel.qemu", "ro.boot.qemu")
    return any(adb.shell(f"getprop {key}").strip() == "1" for key in marks)


def thermal_state(adb: Adb) -> Thermal | None:
    """Of Android 10 and later."""
    status = _number(_asked(adb, "dumpsys thermalservice"), r"Thermal Status:\s*(\d+)")
    return None if status is None else (*THERMAL, "critical")[min(int(status), len(THERMAL))]


def state(adb: Adb) -> State:
    battery = _asked(adb, "dumpsys battery")
    tenths, level = _number(battery, r"^\s*temperature:\s*(-?\d+)"), _number(battery, r"^\s*level:\s*(\d+)")
    powered = re.findall(r"^\s*(?:AC|USB|Wireless|Dock) powered:\s*(true|false)", battery, re.MULTILINE)
    low_power = _asked(adb, "settings get global low_power").strip()
    return State(
        thermal=thermal_state(adb),
        temperature_c=None if tenths is None else tenths / 10,
        battery_percent=level,
        charging="true" in powered if powered else None,
        low_power_mode=low_power == "1" if low_power in ("0", "1") else None,
    )


def conditions(before: State, after: State) -> Conditions:
    return Conditions(
        thermal_before=before.thermal,
        thermal_after=after.thermal,
        temperature_before_c=before.temperature_c,
        temperature_after_c=after.temperature_c,
        battery_before_percent=before.battery_percent,
        battery_after_percent=after.battery_percent,
        charging=before.charging,
        low_power_mode=before.low_power_mode,
    )


def cool_down(adb: Adb, least_s: float, sleep: Callable[[float], object] = time.sleep) -> State:
    """Wait `least_s` seconds, and on until the device is not warm, ten minutes at most; the state then."""
    sleep(least_s)
    now, waited_s = state(adb), 0.0
    while now.thermal not in COOL_ENOUGH and waited_s < COOLED_MOST_S:
        sleep(POLL_S)
        waited_s += POLL_S
        now = state(adb)
    return now


def _asked(adb: Adb, command: str) -> str:
    """What a service says; nothing where there is none."""
    with contextlib.suppress(AdbError):
        return adb.shell(f"{command} 2>/dev/null || true")
    return ""


def _number(text: str, pattern: str) -> float | None:
    found = re.search(pattern, text, re.MULTILINE)
    return float(found[1]) if found else None
