"""Photos that no release learns from and no range of the simulated camera is fitted to: they judge.

Chosen once, by name, so that they show people, buildings, nature, night and text. Names are those of the collections
that `make releases` reads.
"""

from __future__ import annotations

HELD_OUT = {
    "cc0": ("canyon-wren", "lake-sherburne", "roman-colosseum", "the-spices-of-life"),
    "clic2025": (
        "0c49a5cce349", "14ab4af28901", "2a2420f929cd", "4cd6910a0b7b", "8bb119b8ca17", "aed95e005df2",
        "b939ac34faa9", "d79d465ac77c",
    ),
    "dslr": ("canon-eos-350d", "nikon-d3100", "nikon-d70"),
    "phone": ("galaxy-s4", "htc-tytn-2", "iphone-6-plus", "lumia-800", "sony-ericsson-c905"),
}  # fmt: skip


def is_held_out(collection: str, name: str) -> bool:
    """Whether a photo `name` (without its suffix, shots of a camera numbered) judges. All of `validation` does."""
    return collection == "validation" or name.startswith(HELD_OUT.get(collection, ()))
