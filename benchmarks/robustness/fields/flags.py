"""Flags: numbers that make no sense, flags that do nothing, a GPU that is not there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.robustness.fields import FieldCase, enhance, run_script, small_photo

ALIGN = ("--phone", "album", "--dslr", "album", "--out", "out")
REQUIRED = {  # what a script needs besides the flag that is tried
    "training.enhance": ("album", "--out", "out"), "training.align": ALIGN, "training.import_published": ("album",),
    "benchmarks.on_host": ("album", "--out", "out"), "benchmarks.on_android": ("album", "--out", "out"),
    "benchmarks.on_browser": ("album", "--out", "out"), "benchmarks.choose": ("album", "--out", "out"),
    "benchmarks.robustness.soak": ("--out", "out"), "benchmarks.studies.peers.cost": ("--out", "out"),
}  # fmt: skip


def _refused(folder: Path, *, script: str, flag: str, value: str) -> str | None:
    small_photo(folder / "album" / "a.jpg")
    ran = run_script(script, *REQUIRED[script], f"{flag}={value}", folder=folder)
    made = "something was made" if (folder / "out").exists() else None
    return made or ran.lacks(2, f"error: argument {flag}: '{value}' is not a")


def _no_gpu(folder: Path, *, inputs: tuple[str, ...]) -> str | None:
    import torch

    if torch.cuda.is_available():
        return None  # nothing to refuse here
    small_photo(folder / "album" / "a.jpg")
    return enhance(folder, *inputs, "--accelerator", "cuda").lacks(1, "PyTorch sees no CUDA GPU on this machine")


def _unknown(folder: Path, *, script: str, arguments: tuple[str, ...], said: str) -> str | None:
    small_photo(folder / "album" / "a.jpg")
    return run_script(script, *REQUIRED[script], *arguments, folder=folder).lacks(2, said)


RANGE, NOTHING = "flags out of range", "flags that do nothing"
OUT_OF_RANGE = (
    ("training.align", "--dslr-ahead", "nan"), ("training.align", "--dslr-ahead", "1e15"),
    ("training.align", "--tolerance", "-1"), ("training.align", "--jobs", "0"), ("training.align", "--patch", "7"),
    ("training.enhance", "--quality", "101"), ("training.enhance", "--strength", "inf"),
    ("training.import_published", "--thumbnail", "9" * 30), ("benchmarks.on_host", "--threads", "0"),
    ("benchmarks.on_android", "--cool-down", "1e999"), ("benchmarks.on_browser", "--port", "65536"),
    ("benchmarks.studies.peers.cost", "--megapixels", "-12"),
)  # fmt: skip
WITHOUT_EFFECT = (
    ("benchmarks.choose", "--psnr-db", "nan"), ("benchmarks.choose", "--size-kb", "0"),
    ("benchmarks.on_host", "--runs", "0"), ("benchmarks.robustness.soak", "--kills", "0"),
    ("training.enhance", "--quality", "0"),
)  # fmt: skip
CASES = [
    *(
        FieldCase(kind, f"{script.rpartition('.')[2]}.py {flag} {value:.12}", partial(
            _refused, script=script, flag=flag, value=value), wrong_before)
        for kind, values, wrong_before in (
            (RANGE, OUT_OF_RANGE, "a traceback"), (NOTHING, WITHOUT_EFFECT, "exit code 0, a result that is none"),
        )
        for script, flag, value in values
    ),
    *(
        FieldCase("no GPU", name, partial(_no_gpu, inputs=inputs), "RuntimeError with a traceback")
        for name, inputs in {
            "a photo": ("album/a.jpg",), "a folder": ("album",), "to a file": ("album/a.jpg", "--out", "b.jpg"),
        }.items()
    ),
    *(
        FieldCase("flags that are not known", name, partial(_unknown, script=script, arguments=arguments, said=said))
        for name, script, arguments, said in (
            ("misspelt", "training.enhance", ("--strenght", "1"), "unrecognized arguments: --strenght"),
            ("without its value", "training.align", ("--licence",), "argument --licence: expected one argument"),
            ("of another script", "benchmarks.on_host", ("--steps", "5"), "unrecognized arguments: --steps"),
        )
    ),
]  # fmt: skip
