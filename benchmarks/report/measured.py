"""What a target can find out about an artifact: the parts of a Report (standard library only).

Figures that follow from others are checked against them, so a report that contradicts itself cannot be read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from benchmarks.report.latency import Latency, percentile

Thermal = Literal["nominal", "fair", "serious", "critical"]
FidelityScope = Literal["whole photos", "golden tile"]
AGREE = 1e-5  # between figures that are stored with six decimals


def require(condition: bool, what: str) -> None:
    """Raises ValueError: the condition does not hold."""
    if not condition:
        raise ValueError(what)


def is_sha256(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _agree(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=AGREE, abs_tol=AGREE)


@dataclass(frozen=True)
class Timing:
    """Latency per entry point, the model loaded, and apart from it the first load of the model in a fresh process.

    enhance_ms_per_megapixel: p50 of a tile over the output pixels that it keeps, so the halo counts as cost.
    """

    load_time_ms: float
    analyze: Latency
    enhance_tile: Latency
    enhance_ms_per_megapixel: float

    def __post_init__(self) -> None:
        require(min(self.load_time_ms, self.enhance_ms_per_megapixel) >= 0, "times must not be negative")


@dataclass(frozen=True)
class InstructionCount:
    """Guest instructions of one call. An instruction can belong to several classes, or to none that is listed."""

    total: int
    by_class: dict[str, int]

    def __post_init__(self) -> None:
        require(self.total > 0, "a call has instructions")
        require(all(0 <= n <= self.total for n in self.by_class.values()), "a class has at most all instructions")


@dataclass(frozen=True)
class Instructions:
    """What an emulator counted, one thread, conversion of input and output included.

    instructions_per_px: enhance_tile over the output pixels that a tile keeps, so the halo counts as cost.
    relative_spread: (largest - smallest) / median of enhance_tile over `repetitions`.
    """

    analyze: InstructionCount
    enhance_tile: InstructionCount
    instructions_per_px: float
    repetitions: int
    relative_spread: float

    def __post_init__(self) -> None:
        require(self.repetitions >= 1 and self.relative_spread >= 0, "repetitions and spread out of range")
        require(self.instructions_per_px > 0, "instructions_per_px must be positive")


@dataclass(frozen=True)
class Conditions:
    """The state of a device before and after the timed runs; None where it does not tell.

    thermal: of iOS by its own words; of Android none, light, moderate, and severe or worse are nominal, fair, serious,
    critical. temperature: of the battery, which every phone tells.
    """

    thermal_before: Thermal | None
    thermal_after: Thermal | None
    temperature_before_c: float | None
    temperature_after_c: float | None
    battery_before_percent: float | None
    battery_after_percent: float | None
    charging: bool | None
    low_power_mode: bool | None

    def __post_init__(self) -> None:
        for percent in (self.battery_before_percent, self.battery_after_percent):
            require(percent is None or 0 <= percent <= 100, "a battery holds 0 to 100 percent")
        for celsius in (self.temperature_before_c, self.temperature_after_c):
            require(celsius is None or -50 <= celsius <= 150, "a device is between -50 and 150 degrees Celsius")


@dataclass(frozen=True)
class Sustained:
    """Tile after tile without a pause: the median time of a tile in each window of `window_s` seconds.

    thermal: at the end of each window, empty where the device does not tell.
    """

    window_s: float
    p50_ms: tuple[float, ...]
    thermal: tuple[Thermal, ...]

    def __post_init__(self) -> None:
        require(self.window_s > 0 and bool(self.p50_ms), "a sustained run has windows")
        require(min(self.p50_ms) > 0, "times must be positive")
        require(len(self.thermal) in (0, len(self.p50_ms)), "one thermal state per window, or none")

    @property
    def slowdown(self) -> float:
        """Median of the last quarter of the windows over the first window."""
        last = self.p50_ms[-max(1, len(self.p50_ms) // 4) :]
        return percentile(last, 50) / self.p50_ms[0]


@dataclass(frozen=True)
class WholePhoto:
    """One photo from file to file; medians of `runs`. `mosaic`: made of the embedded sample, not a camera's.

    Stages follow one another: decode; analyze (thumbnail included); tiles (the model alone); stitch (cutting tiles,
    clamping, joining); encode. peak_memory_mb: resident, 10^6 bytes, of a process that does this alone.
    """

    photo: str
    mosaic: bool
    height_px: int
    width_px: int
    runs: int
    decode_ms: float
    analyze_ms: float
    tiles_ms: float
    stitch_ms: float
    encode_ms: float
    peak_memory_mb: float | None

    def __post_init__(self) -> None:
        require(min(self.height_px, self.width_px, self.runs) > 0, "a photo has pixels and runs")
        require(min(self.stages.values()) >= 0 < self.total_ms, "times must not be negative")
        require(self.peak_memory_mb is None or self.peak_memory_mb >= 0, "memory must not be negative")

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds by stage, in order."""
        return {
            "decode": self.decode_ms,
            "analyze": self.analyze_ms,
            "tiles": self.tiles_ms,
            "stitch": self.stitch_ms,
            "encode": self.encode_ms,
        }

    @property
    def total_ms(self) -> float:
        return math.fsum(self.stages.values())


@dataclass(frozen=True)
class PhotoFidelity:
    """One photo, artifact against reference. `simulated`: the phone photo comes from a simulated camera.

    colour_shift: mean of artifact minus reference per channel R, G, B; photos in [0, 1].
    output_sha256: of the output, 8 bits, R G B by row: equal where two targets made the same picture.
    """

    photo: str
    simulated: bool
    height_px: int
    width_px: int
    output_sha256: str
    psnr_db: float
    ssim: float
    delta_e_2000: float
    colour_shift: tuple[float, ...]

    def __post_init__(self) -> None:
        require(self.height_px > 0 < self.width_px, "a photo has pixels")
        require(is_sha256(self.output_sha256), "output_sha256 is not a sha256")
        require(self.delta_e_2000 >= 0, "delta_e_2000 must not be negative")
        require(len(self.colour_shift) == 3, "colour_shift has three channels")


@dataclass(frozen=True)
class Fidelity:
    """Device output against the float reference, and the floors that were required.

    scope: whole photos end to end, or the golden tile of the artifact alone, where a device has no other reference.
    reference_sha256: the checkpoint that was compared with.
    """

    scope: FidelityScope
    reference_sha256: str
    psnr_db_mean: float
    psnr_db_worst: float
    psnr_db_mean_floor: float
    psnr_db_worst_floor: float
    ssim_mean: float
    delta_e_2000_mean: float
    colour_shift_worst: float
    photos: tuple[PhotoFidelity, ...]

    def __post_init__(self) -> None:
        require(bool(self.photos), "fidelity needs at least one photo")
        require(is_sha256(self.reference_sha256), "reference_sha256 is not a sha256")
        require(min(self.delta_e_2000_mean, self.colour_shift_worst) >= 0, "a distance must not be negative")
        count = len(self.photos)
        derived = {
            "psnr_db_mean": math.fsum(photo.psnr_db for photo in self.photos) / count,
            "psnr_db_worst": min(photo.psnr_db for photo in self.photos),
            "ssim_mean": math.fsum(photo.ssim for photo in self.photos) / count,
            "delta_e_2000_mean": math.fsum(photo.delta_e_2000 for photo in self.photos) / count,
            "colour_shift_worst": max(abs(part) for photo in self.photos for part in photo.colour_shift),
        }
        for name, value in derived.items():
            require(_agree(getattr(self, name), value), f"{name} is not that of its photos ({value:.6f})")
