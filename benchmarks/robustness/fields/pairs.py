"""Which photos of two folders are a pair: Unicode forms of names, clocks of two time zones, one folder twice."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks.robustness.fields import FieldCase, Ran, run_script, small_photo

ORIGINAL, OFFSET, EXIF = 36867, 36881, 0x8769  # tags of EXIF 2.31
NOON = datetime(2026, 5, 1, 12)


def _align(folder: Path, *arguments: object) -> Ran:
    return run_script("training.align", *arguments, "--out", "set", folder=folder)


def _pairs(folder: Path) -> int:
    """Pairs that were tried; photos of one colour cannot be aligned."""
    manifest = json.loads((folder / "set/phone/manifest.json").read_text())
    return sum(" + " in row["what"] for row in manifest["refused"])


def _same_name(folder: Path, *, phone: str, dslr: str) -> str | None:
    small_photo(folder / "phone" / phone)
    small_photo(folder / "dslr" / dslr, "red")
    ran = _align(folder, "--phone", "phone", "--dslr", "dslr")
    return ran.lacks(1, "1 pair, 0 of them finished already; 0 photos without a partner")


def _shoot(path: Path, when: datetime, zone: str) -> None:
    exif = Image.Exif()
    details = exif.get_ifd(EXIF)
    details[ORIGINAL] = when.strftime("%Y:%m:%d %H:%M:%S")
    if zone:
        details[OFFSET] = zone
    small_photo(path, exif=exif)


def _two_clocks(folder: Path, *, zones: tuple[str, str], ahead: timedelta, hint: str = "") -> str | None:
    """Three pairs; the DSLR's clock is ahead. Paired at once, or with what the hint says."""
    for number in range(3):
        when = NOON + timedelta(seconds=100 * number**2)
        _shoot(folder / f"phone/{number}.jpg", when, zones[0])
        _shoot(folder / f"dslr/{number}.jpg", when + ahead, zones[1])
    command = ("--phone", "phone", "--dslr", "dslr", "--pair-by", "time")
    ran = _align(folder, *command)
    if hint:
        if fault := ran.lacks(1, f"--dslr-ahead {hint} would pair 3 more"):
            return fault
        ran = _align(folder, *command, "--dslr-ahead", hint)
    return ran.lacks(1) or (None if _pairs(folder) == 3 else f"{_pairs(folder)} pairs: {ran.err}")


def _one_twice(folder: Path, *, second: str, said: str) -> str | None:
    for number in range(2):
        small_photo(folder / "phone" / f"{number}.jpg")
    if second == "link":
        (folder / "link").symlink_to(folder / "phone")
    elif second == "copy":
        shutil.copytree(folder / "phone", folder / "copy")
    return _align(folder, "--phone", "phone", "--dslr", second).lacks(1, said)


HOUR = timedelta(hours=1)
CASES = [
    *(
        FieldCase("Unicode forms of a name", name, partial(_same_name, phone=phone, dslr=dslr), "both refused")
        for name, phone, dslr in (
            ("e with acute accent", "Caf\u00e9.jpg", "Cafe\u0301.jpg"),
            ("the other way round, in capitals", "CAFE\u0301.JPG", "caf\u00e9.png"),
            ("a syllable of Hangul", "\uac00.jpg", "\u1100\u1161.jpg"),
            ("two marks on a letter", "\u1ed9.jpg", "o\u0323\u0302.jpg"),
        )
    ),
    *(
        FieldCase("clocks of two time zones", name, check, "all refused, without a hint")
        for name, check in {
            "both say their zone": partial(_two_clocks, zones=("+01:00", "+02:00"), ahead=HOUR),
            "west and east": partial(_two_clocks, zones=("-05:00", "+05:30"), ahead=10.5 * HOUR),
            "only the phone does": partial(_two_clocks, zones=("+01:00", ""), ahead=HOUR, hint="3600"),
            "neither does": partial(_two_clocks, zones=("", ""), ahead=timedelta(seconds=3601), hint="3601"),
            "the DSLR's was never set": partial(_two_clocks, zones=("", ""), ahead=-2000 * timedelta(days=1),
                                                hint="-172800000"),
        }.items()
    ),
    *(
        FieldCase("one folder for both cameras", name, partial(_one_twice, second=second, said=said),
                  "a set that teaches nothing")
        for name, second, said in (
            ("the same name", "phone", "--phone and --dslr: both are phone"),
            ("by another name", "phone/../phone", "--phone and --dslr: both are"),
            ("through a link", "link", "--phone and --dslr: both are"),
            ("a copy", "copy", "both are one file"),
        )
    ),
]  # fmt: skip
