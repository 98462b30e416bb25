"""Golden vectors of the manifest and of a whole artifact: what every reader must take, and what it must refuse.

Each bad one has a single fault, and the class of its refusal, which is compared here with what `conversion.artifact`
really says of it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conversion.artifact import (
    CHECKSUM,
    MANIFEST,
    Artifact,
    ArtifactError,
    EntryPoint,
    Golden,
    Manifest,
    ModelFile,
    Provenance,
    TensorSpec,
    TilingSpec,
)

Case = dict[str, Any]
DEEP = 100_000  # brackets, on which a reader that calls itself would end
SPACES = 1_000_000
# What Python's sentences mean, the first that fits. SPEC.md defines the classes.
CLASSES = {
    r"a key occurs twice": "duplicate_key",
    r"schema version": "schema_version",
    r" lacks ": "missing_field",
    r"unknown field": "unknown_field",
    r"is not a path inside": "path",
    r"manifest\.json: differs from its checksum in": "manifest_changed",
    r"differs from its checksum; convert or copy": "file_changed",
    r": missing, or a link": "file_missing",
    r"larger than any manifest": "too_large",
    r"line \d+ column \d+|is not JSON|nested too deeply|not UTF-8": "syntax",
    r"not a manifest of this release": "field",
}


def refusal(error: ArtifactError) -> str:
    return next(name for words, name in CLASSES.items() if re.search(words, str(error)))


def contents() -> dict[str, bytes]:
    """A tiny artifact's files but its manifest: a package with two members, and golden tensors that fit it."""

    def floats(count: int) -> bytes:
        return bytes(at % 61 for at in range(4 * count))

    return {
        "MODEL_CARD.md": b"# A tiny artifact\n",
        "analyze.mlpackage/Data/weights.bin": bytes(range(64)),
        "analyze.mlpackage/Manifest.json": b"{}\n",
        "enhance.mlpackage/Manifest.json": b"{ }\n",
        "golden/curve.f32": floats(3),
        "golden/output.f32": floats(3 * 12 * 12),
        "golden/thumbnail.f32": floats(3 * 2 * 2),
        "golden/tile.f32": floats(3 * 12 * 12),
    }


def write_artifact(folder: Path) -> Manifest:
    for path, content in contents().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    thumbnail = TensorSpec("thumbnail", (1, 3, 2, 2), "float32", "NCHW", (0.0, 1.0), "RGB")
    tile, output = (
        TensorSpec(name, (1, 3, 12, 12), "float32", "NCHW", (0.0, 1.0), "RGB") for name in ("tile", "output")
    )
    curve = TensorSpec("curve", (1, 3, 1, 1), "float32", "NCHW", None, None)
    manifest = Manifest(
        schema_version=1, name="tiny-coreml-fp16", format="coreml", target="ios17", precision="fp16", quantization=None,
        files=ModelFile.all_in(folder, ["analyze.mlpackage", "enhance.mlpackage"]),
        entry_points=(
            EntryPoint("analyze", "analyze.mlpackage", "main", (thumbnail,), (curve,)),
            EntryPoint("enhance", "enhance.mlpackage", "main", (tile, curve), (output,)),
        ),
        thumbnail_px=2, tiling=TilingSpec(12, 2, 2, "clamp"), colour="sRGB, encoded",
        delegation={"analyze": None, "enhance": None},
        golden=Golden("golden/thumbnail.f32", ("golden/curve.f32",), "golden/tile.f32", "golden/output.f32", 50.0),
        fidelity=None, conversion_s=0.5,
        source=Provenance("tiny", hashlib.sha256(b"").hexdigest(), "pocket", {"channels": 8}),
        tools={"coremltools": "9.0"}, licence="none: there are no weights",
    )  # fmt: skip
    manifest.save(folder)
    return manifest


# Replace the first text, which occurs once, by the second.
GOOD = {
    "as it is": ('"schema_version": 1', '"schema_version": 1'),
    "a whole number where a fraction may be": ('"conversion_s": 0.5', '"conversion_s": 2'),
    "an exponent": ('"conversion_s": 0.5', '"conversion_s": 5e-1'),
    "escapes": ('"none: there are no weights"', '"caf\\u00e9 \\ud83d\\ude00 \\/ \\" \\\\"'),
    "2000 characters": ("none: there are no weights", "é" * 1999 + "😀"),
    "white space around": ('{\n  "schema_version"', ' \t\r\n{\n  "schema_version"'),
    "a name with dots": ('"name": "tiny-coreml-fp16"', '"name": "tiny.coreml_v2"'),
}
BAD: dict[str, tuple[str, str, str]] = {
    "not JSON": ("syntax", '"schema_version": 1,', '"schema_version": 1;'),
    "cut off": ("syntax", '"licence": "none: there are no weights"\n}\n', '"licence": "none'),
    "something after the end": ("syntax", 'no weights"\n}\n', 'no weights"\n}\n{}'),
    "NaN": ("syntax", '"conversion_s": 0.5', '"conversion_s": NaN'),
    "Infinity": ("syntax", '"conversion_s": 0.5', '"conversion_s": -Infinity'),
    "a leading zero": ("syntax", '"conversion_s": 0.5', '"conversion_s": 00.5'),
    "a number without digits": ("syntax", '"conversion_s": 0.5', '"conversion_s": .5'),
    "a trailing comma": ("syntax", '"coremltools": "9.0"', '"coremltools": "9.0",'),
    "a comment": ("syntax", '"conversion_s": 0.5,', '"conversion_s": 0.5, // seconds'),
    "single quotes": ("syntax", '"coremltools": "9.0"', "'coremltools': '9.0'"),
    "a raw control character": ("syntax", "there are no weights", "there are\nno weights"),
    "an unknown escape": ("syntax", "there are no weights", "there are\\x20no weights"),
    "a key twice": ("duplicate_key", '"conversion_s": 0.5', '"conversion_s": 0.5, "conversion_s": 0.5'),
    "a nested key twice": ("duplicate_key", '"channels": 8', '"channels": 8, "channels": 9'),
    "a key twice by an escape": ("duplicate_key", '"channels": 8', '"channels": 8, "ch\\u0061nnels": 9'),
    "schema version 2": ("schema_version", '"schema_version": 1', '"schema_version": 2'),
    "schema version as text": ("schema_version", '"schema_version": 1', '"schema_version": "1"'),
    "schema version true": ("schema_version", '"schema_version": 1', '"schema_version": true'),
    "no schema version": ("schema_version", '"schema_version": 1,', ""),
    "no thumbnail size": ("missing_field", '"thumbnail_px": 2,', ""),
    "no halo": ("missing_field", '"halo_px": 2,', ""),
    "no golden output": ("missing_field", '"output": "golden/output.f32",', ""),
    "an unknown field": ("unknown_field", '"thumbnail_px": 2,', '"thumbnail_px": 2, "run_first": "setup.sh",'),
    "an unknown nested field": ("unknown_field", '"halo_px": 2,', '"halo_px": 2, "stride_px": 4,'),
    "a path to the parent folder": ("path", '"path": "MODEL_CARD.md"', '"path": "../MODEL_CARD.md"'),
    "a parent folder inside": ("path", '"path": "MODEL_CARD.md"', '"path": "golden/../../MODEL_CARD.md"'),
    "an absolute path": ("path", '"path": "MODEL_CARD.md"', '"path": "/etc/passwd"'),
    "a drive": ("path", '"path": "MODEL_CARD.md"', '"path": "C:MODEL_CARD.md"'),
    "a backslash": ("path", '"path": "MODEL_CARD.md"', '"path": "golden\\\\MODEL_CARD.md"'),
    "an empty path": ("path", '"path": "MODEL_CARD.md"', '"path": ""'),
    "an empty part": ("path", '"path": "MODEL_CARD.md"', '"path": "golden//MODEL_CARD.md"'),
    "a dot": ("path", '"path": "MODEL_CARD.md"', '"path": "./MODEL_CARD.md"'),
    "a slash at the end": ("path", '"path": "MODEL_CARD.md"', '"path": "MODEL_CARD.md/"'),
    "text for a number": ("field", '"thumbnail_px": 2', '"thumbnail_px": "2"'),
    "true for a number": ("field", '"halo_px": 2', '"halo_px": true'),
    "a fraction for a whole number": ("field", '"thumbnail_px": 2', '"thumbnail_px": 2.0'),
    "null for text": ("field", '"licence": "none: there are no weights"', '"licence": null'),
    "a number for text": ("field", '"coremltools": "9.0"', '"coremltools": 9.0'),
    "a list for an object": ("field", '"config": {\n      "channels": 8\n    }', '"config": []'),
    "an object for a list": ("field", '"condition": [\n      "golden/curve.f32"\n    ]', '"condition": {}'),
    "a number that is infinite": ("field", '"conversion_s": 0.5', '"conversion_s": 1e999'),
    "a number that is too large to be exact": ("field", '"channels": 8', '"channels": 9007199254740993'),
    "an unknown format": ("field", '"format": "coreml"', '"format": "pickle"'),
    "an unknown border rule": ("field", '"border": "clamp"', '"border": "wrap"'),
    "an unknown colour space": ("field", '"colour": "sRGB, encoded"', '"colour": "linear"'),
    "a control character": ("field", "there are no weights", "there are\\u0007 no weights"),
    "a character that turns text around": ("field", "there are no weights", "there are \\u202e no weights"),
    "half a surrogate pair": ("field", "there are no weights", "there are \\ud83d no weights"),
    "2001 characters": ("field", "none: there are no weights", "x" * 2001),
    "no sha256": ("field", f'"sha256": "{hashlib.sha256(b"").hexdigest()}"', '"sha256": "e3b0"'),
    "an absurd thumbnail": ("field", '"thumbnail_px": 2', '"thumbnail_px": 1000000'),
    "an absurd tile": ("field", '"tile_px": 12', '"tile_px": 65536'),
    "a tile that is all halo": ("field", '"halo_px": 2', '"halo_px": 6'),
    "a halo that is not aligned": ("field", '"align_px": 2', '"align_px": 4'),
    "a tile size that no entry point has": ("field", '"tile_px": 12', '"tile_px": 16'),
    "a negative halo": ("field", '"halo_px": 2', '"halo_px": -2'),
    "a golden file that is not listed": ("field", '"tile": "golden/tile.f32"', '"tile": "golden/other.f32"'),
    "a golden file of another size": ("field", '"tile": "golden/tile.f32"', '"tile": "golden/thumbnail.f32"'),
    "a name that is a path": ("field", '"name": "tiny-coreml-fp16"', '"name": "../tiny"'),
    "two conditions in golden": ("field", '"golden/curve.f32"\n    ]', '"golden/curve.f32", "golden/curve.f32"\n    ]'),
}


def manifest_vectors() -> Iterator[Case]:
    """The good text first, then each change to it; the last is nothing but brackets."""
    with tempfile.TemporaryDirectory() as folder:
        write_artifact(Path(folder))
        text = (Path(folder) / MANIFEST).read_text(encoding="utf-8")
    yield {"manifest": text}
    for name, (old, new) in GOOD.items():
        _expect(text, old, new, None)
        yield {"name": name, "replace": old, "by": new, "refused": None}
    for name, (expected, old, new) in BAD.items():
        _expect(text, old, new, expected)
        yield {"name": name, "replace": old, "by": new, "refused": expected}
    yield {"name": "too deep", "brackets": DEEP, "refused": _parse("[" * DEEP + "]" * DEEP)}


def _expect(text: str, old: str, new: str, expected: str | None) -> None:
    assert text.count(old) == 1, f"{old!r} must occur once"
    refused = _parse(text.replace(old, new))
    assert refused == expected, f"{new!r:.60}: {refused}, not {expected}"


def _parse(text: str) -> str | None:
    try:
        Manifest.parse(text)
        return None
    except ArtifactError as error:
        return refusal(error)


def artifact_vectors() -> Iterator[Case]:
    """All files of a good artifact, then changes to single files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_artifact(folder)
        files = {path: (folder / path).read_bytes() for path in (*sorted(contents()), MANIFEST, CHECKSUM)}
    yield {"files": {path: content.hex() for path, content in files.items()}}
    card, member = "MODEL_CARD.md", "analyze.mlpackage/Data/weights.bin"
    changes: dict[str, dict[str, bytes | None]] = {
        "as it is": {},
        "a byte of a file": {"golden/tile.f32": b"\xff" + files["golden/tile.f32"][1:]},
        "a byte of a package": {member: files[member][:-1] + b"\x00"},
        "a byte more": {card: files[card] + b"\n"},
        "a byte less": {card: files[card][:-1]},
        "a file added to a package": {"analyze.mlpackage/extra": b""},
        "a file that nobody lists": {"extra.txt": b"harmless"},
        "a file missing": {card: None},
        "a package's member missing": {member: None},
        "the manifest changed": {MANIFEST: files[MANIFEST].replace(b"no weights", b"no Weights")},
        "the checksum changed": {CHECKSUM: b"0" * 64 + files[CHECKSUM][64:]},
        "no checksum": {CHECKSUM: None},
        "another line in the checksum": {CHECKSUM: files[CHECKSUM] + b"\n"},
    }
    for name, change in changes.items():
        yield {"name": name, "change": {p: _hex(c) for p, c in change.items()}, "refused": _verify(files, change)}
    refused = _verify(files, {MANIFEST: files[MANIFEST] + b" " * SPACES})
    yield {"name": "a manifest above a megabyte", "spaces_after_manifest": SPACES, "refused": refused}


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()


def _verify(files: dict[str, bytes], change: dict[str, bytes | None]) -> str | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in (files | change).items():
            if content is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        try:
            Artifact.load(folder).verify()
            return None
        except ArtifactError as error:
            return refusal(error)
