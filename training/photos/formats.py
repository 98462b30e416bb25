"""Which files count as photos, by their names, and which are refused by what they hold, with what to do instead."""

from __future__ import annotations

from training.photos.containers.tiff import Directory

PHOTO_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".webp", ".bmp", ".avif", ".heic", ".heif",
    ".hif",
}  # fmt: skip
RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip
RAW = "camera raw: export it as JPEG or TIFF and enhance that"
JPEG_XL = "JPEG XL, which is not read: export it as JPEG, PNG or TIFF"
# Beginnings of raw files that are not TIFF: Fujifilm, Sigma, Minolta, Canon, Panasonic and Leica, Olympus.
RAW_MAGICS = (b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")
RAW_TIFF_MARKS = (b"CR", b"IIII", b"MMMM")  # behind the header of a TIFF: Canon CR2, Phase One
JPEG_XL_MAGICS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
CFA, LINEAR_RAW = 32803, 34892  # PhotometricInterpretation, TIFF/EP (ISO 12234-2) and DNG 1.7
DNG_VERSION, CFA_PATTERN_SIZE, CFA_PATTERN = 50706, 33421, 33422
CAMERA_CODECS = {32767, 32769, 32770, 34713, 65000, 65535}  # of Sony, Epson, Samsung, Nikon, Kodak, Pentax


class Refusal(ValueError):
    """Why a photo is not read, and what to do, in a sentence that needs only the name of the file in front."""


def refuse_by_beginning(content: bytes) -> None:
    """Raises Refusal for what the first bytes of a file show to be camera raw or JPEG XL."""
    brands = content[8 : int.from_bytes(content[:4], "big")] if content[4:8] == b"ftyp" else b""
    if content.startswith(RAW_MAGICS) or brands[:4] == b"crx ":
        raise Refusal(RAW)
    if content.startswith(JPEG_XL_MAGICS):
        raise Refusal(JPEG_XL)


def refuse_raw_tiff(beginning: bytes, pages: list[Directory]) -> None:
    """Raises Refusal where the photo of a TIFF is the unprocessed output of a sensor, and its pages are previews of it.

    Such a file says so by its tags, or its largest picture lies below a page instead of being one (TIFF/EP).
    """
    nested = [child for page in pages for child in page.descendants()]
    largest_page = max((page.pixels for page in pages if page.is_full), default=0)
    if (
        beginning[8:].startswith(RAW_TIFF_MARKS)
        or any(_is_from_a_sensor(directory) for directory in (*pages, *nested))
        or any(child.is_full and child.pixels > largest_page for child in nested)
    ):
        raise Refusal(RAW)


def _is_from_a_sensor(directory: Directory) -> bool:
    return (
        directory.photometric in (CFA, LINEAR_RAW)
        or directory.compression in CAMERA_CODECS
        or any(tag in directory for tag in (DNG_VERSION, CFA_PATTERN_SIZE, CFA_PATTERN))
    )
