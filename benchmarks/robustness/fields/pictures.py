"""Which samples and which picture of a file are the photo: inputs of TIFF and of raw files, each with known pixels."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from benchmarks.robustness.faults_photos import encoded, scene
from benchmarks.robustness.fields import FieldCase
from benchmarks.robustness.fields.colours import Check, refused
from training.photos import read_photo

SMALL, LARGE = scene(40, 60), scene(64, 96)
JPEG_LEVELS, HEIC_LEVELS = 2.0, 3.0  # of mean error, of 255
RAW = "camera raw: export it as JPEG or TIFF and enhance that"
NO_RANGE = "have no agreed range: export 8 or 16 bits"
REDUCED, MASK = 1, 4
CFA, LINEAR_RAW = 32803, 34892


def tiff(*pages: tuple[Any, dict[str, Any]], **options: Any) -> Callable[[Path], None]:
    """Writes a TIFF with these pages: samples, and what tifffile is to write about them."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path, **options) as file:
            for samples, about in pages:
                file.write(samples, **{"photometric": "rgb", "metadata": None, **about})

    return write


def content(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def shows(
    folder: Path, *, name: str, write: Callable[[Path], object], truth: Any, levels: float = 0, note: str = "",
    alpha: int | None = None,
) -> str | None:  # fmt: skip
    """The colour of a photo, its alpha if it has a constant one, and a note if there must be one."""
    write(folder / name)
    photo = read_photo(folder / name)
    pixels = truth if truth.ndim == 3 else np.repeat(truth[..., None], 3, axis=2)
    if photo.pixels.shape != pixels.shape:
        return f"{photo.pixels.shape} pixels"
    error = np.abs(photo.pixels * 255 - pixels).mean()
    found = None if photo.alpha is None else (photo.alpha * 255).mean()
    if note not in " ".join(photo.notes) or (bool(note) != bool(photo.notes)):
        return f"notes {photo.notes}"
    if (found is None) != (alpha is None) or (alpha is not None and abs(alpha - (found or 0)) > 0.5):
        return f"alpha {found}"
    return None if error <= levels + 0.01 else f"mean error {error:.2f} levels"


def refused_file(folder: Path, *, name: str, write: Callable[[Path], object], sentence: str) -> str | None:
    write(folder / name)
    return refused(folder, name=name, make=(folder / name).read_bytes, sentence=sentence)


def raw_cases() -> dict[str, Check]:
    sensor = np.zeros((64, 96), np.uint16)
    preview = (SMALL, {"subfiletype": REDUCED, "subifds": 1})
    below = {"photometric": "minisblack", "subfiletype": 0}
    dng = [(50706, "B", 4, b"\1\4\0\0", True)]
    plain = encoded(SMALL, "TIFF")
    files: dict[str, tuple[str, Callable[[Path], object]]] = {
        "DNG": ("a.dng", tiff((SMALL, preview[1] | {"extratags": dng}), (sensor, below))),
        "DNG that is called .tif": ("a.tif", tiff((SMALL, {"extratags": dng}))),
        "sensor below a preview (NEF)": ("a.nef", tiff(preview, (sensor, below | {"photometric": CFA}))),
        "larger picture below a preview (NEF, no marks)": ("a.nef", tiff(preview, (sensor, below))),
        "sensor in the first page (PEF)": ("a.pef", tiff((sensor, {"photometric": CFA}), (SMALL, {}))),
        "linear raw": ("a.tif", tiff((scene(64, 96).astype(np.uint16), {"photometric": LINEAR_RAW}))),
        "preview behind which a BigTIFF has a sensor": (
            "a.dng",
            tiff(preview, (sensor, below | {"photometric": CFA}), bigtiff=True),
        ),
        "CR2": ("a.cr2", content(lambda: plain[:8] + b"CR\2\0" + plain[12:])),
        "Phase One": ("a.tif", content(lambda: plain[:8] + b"IIII" + plain[12:])),
        "CR3": ("a.cr3", content(lambda: b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(99))),
        "RAF": ("a.raf", content(lambda: b"FUJIFILMCCD-RAW 0201FF" + encoded(SMALL, "JPEG"))),
        "ORF": ("a.jpg", content(lambda: b"IIRO" + plain[4:])),
        "RW2": ("a.rw2", content(lambda: b"IIU\0" + plain[4:])),
        "X3F": ("a.x3f", content(lambda: b"FOVb" + bytes(99))),
        "unknown, by its name": ("a.arw", content(lambda: bytes(999))),
    }
    return {name: partial(refused_file, name=file, write=write, sentence=RAW) for name, (file, write) in files.items()}


def alpha_cases() -> dict[str, Check]:
    def planes(*levels: int, colour: Any = LARGE) -> Any:
        return np.dstack([colour, *(np.full((64, 96), level, np.uint8) for level in levels)])

    def case(types: list[str], *levels: int, alpha: int | None, note: str, **rest: Any) -> Check:
        colour = rest.pop("colour", LARGE)
        write = tiff((planes(*levels, colour=colour), {"extrasamples": types, **rest}))
        return partial(shows, name="a.tif", write=write, truth=colour, alpha=alpha, note=note)

    one, two = "1 extra channel", "2 extra channels"
    grey = {"photometric": "minisblack", "colour": LARGE[..., 0], "planarconfig": "contig"}
    return {
        "alpha, then a mask": case(["unassalpha", "unspecified"], 200, 0, alpha=200, note=one),
        "a mask, then alpha": case(["unspecified", "unassalpha"], 0, 90, alpha=90, note=one),
        "two of type alpha": case(["unassalpha", "unassalpha"], 200, 90, alpha=200, note=one),
        "two masks": case(["unspecified", "unspecified"], 0, 0, alpha=None, note=two),
        "alpha alone": case(["unassalpha"], 200, alpha=200, note=""),
        "a mask alone": case(["unspecified"], 0, alpha=None, note=one),
        "grey, a mask, alpha": case(["unspecified", "unassalpha"], 0, 90, alpha=90, note=one, **grey),
    }


def page_cases() -> dict[str, Check]:
    mask = np.ones((80, 120), bool)
    about = {"photometric": "mask", "subfiletype": MASK}
    kept = "only the largest picture of the file kept"
    frames = [Image.fromarray(LARGE), Image.fromarray(255 - LARGE)]
    more = {"save_all": True, "append_images": frames[1:]}

    def case(name: str, write: Callable[[Path], object], note: str = "", levels: float = 0) -> Check:
        return partial(shows, name=name, write=write, truth=LARGE, note=note, levels=levels)

    return {
        "TIFF, thumbnail first": case("a.tif", tiff((SMALL, {"subfiletype": REDUCED}), (LARGE, {}))),
        "TIFF, thumbnail first, without a mark": case("a.tif", tiff((SMALL, {}), (LARGE, {})), kept),
        "TIFF, a larger mask behind": case("a.tif", tiff((LARGE, {}), (mask, about))),
        "TIFF, a pyramid": case("a.tif", tiff((LARGE, {"subifds": 1}), (SMALL, {"subfiletype": REDUCED}))),
        "TIFF, pages of one size": case("a.tif", tiff((LARGE, {}), (255 - LARGE, {})), "only the first picture"),
        "animated WebP": case("a.webp", content(partial(encoded, frames[0], "WEBP", lossless=True, **more)), "first"),
        "MPO": case("a.mpo", content(partial(encoded, frames[0], "MPO", quality=100, subsampling=0, **more)),
                    "second view", JPEG_LEVELS),
        "HEIC, the second is primary": case("a.heic", _heic_second_is_primary,
                                            "only the primary picture", HEIC_LEVELS),
    }  # fmt: skip


def _heic_second_is_primary(path: Path) -> None:
    import training.photos.decoding  # noqa: F401  (HEIC for Pillow)

    frames = [Image.fromarray(SMALL), Image.fromarray(LARGE)]
    frames[0].save(path, "HEIF", save_all=True, append_images=frames[1:], primary_index=1, quality=-1, chroma=444)


def no_range_cases() -> dict[str, Check]:
    kinds = {"float": np.float32, "half": np.float16, "double": np.float64, "int16": np.int16, "uint32": np.uint32}
    return {
        f"{name}, {'colour' if colour else 'grey'}": partial(
            refused_file, name="a.tif", sentence=NO_RANGE,
            write=tiff((np.ones((4, 5, 3) if colour else (4, 5), kind),
                        {"photometric": "rgb" if colour else "minisblack"})),
        )
        for name, kind in kinds.items() for colour in (True, False)
    }  # fmt: skip


def codec_cases() -> dict[str, Check]:
    def case(pixels: Any, codec: str, **rest: Any) -> Check:
        write = content(partial(encoded, pixels, "TIFF", compression=codec))
        return partial(shows, name="a.tif", write=write, truth=pixels[..., :3] if pixels.ndim == 3 else pixels, **rest)

    opaque = np.dstack([LARGE, np.full((64, 96), 200, np.uint8)])
    return {
        "Zstandard": case(LARGE, "zstd"),
        "Zstandard, grey": case(LARGE[..., 0], "zstd"),
        "Zstandard, alpha": case(opaque, "zstd", alpha=200),
        "LZMA": case(LARGE, "lzma"),
        "a code that nobody knows": partial(
            refused_file, name="a.tif", write=content(_codec_unknown), sentence="save it with Deflate or LZW"),
    }  # fmt: skip


def _codec_unknown() -> bytes:
    whole, entry = encoded(LARGE, "TIFF"), struct.pack("<HHI", 259, 3, 1)
    place = whole.index(entry) + len(entry)
    return whole[:place] + struct.pack("<H", 50009) + whole[place + 2 :]


KINDS: list[tuple[str, str, dict[str, Check]]] = [
    ("camera raw", "thumbnail enhanced, in silence", raw_cases()),
    ("which extra sample is alpha", "the last, in silence", alpha_cases()),
    ("which picture of a file", "", page_cases()),
    ("samples without a range", "called no photo, to be removed", no_range_cases()),
    ("compression of a TIFF", "refused, said for each strip", codec_cases()),
]
CASES = [FieldCase(kind, name, check, wrong) for kind, wrong, checks in KINDS for name, check in checks.items()]
