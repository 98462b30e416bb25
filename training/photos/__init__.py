"""Photos as arrays: whatever the file holds becomes upright sRGB in memory, and nothing broken passes."""

from training.photos.photo import (
    ENCODERS,
    PHOTO_SUFFIXES,
    Photo,
    PhotoError,
    Pixels,
    from_samples,
    printable,
    read_folder,
    read_photo,
    read_pixels,
    to_samples,
    write_photo,
)

__all__ = [
    "ENCODERS",
    "PHOTO_SUFFIXES",
    "Photo",
    "PhotoError",
    "Pixels",
    "from_samples",
    "printable",
    "read_folder",
    "read_photo",
    "read_pixels",
    "to_samples",
    "write_photo",
]
