"""What a page shows of each photo: the pictures of reports, grouped by photo and embedded as data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.page.tables import Filters, format_label
from benchmarks.report import Pictures, Report
from benchmarks.report.measured import PhotoFidelity
from training.commandline import UserError

LONGEST_SIDE_PX = 900
LARGEST_PICTURE_PX = 100_000_000
PHOTOS_SHOWN = 12
CHOICES_SHOWN = 8  # outputs of artifacts per photo, the worst first
EMBEDDED_BYTES_MOST = 24 << 20  # a page that a phone still opens
Pictured = tuple[PhotoFidelity, Report, Pictures]


class PictureError(UserError):
    """A picture of a report cannot be shown; the message names the file."""


@dataclass(frozen=True)
class Picture:
    """One embedded picture; scale < 1 says that it was made smaller."""

    uri: str
    width: int
    height: int
    scale: float
    black: bool


@dataclass(frozen=True)
class Choice:
    """What the right half of a slider can show; `short` is its label inside the picture.

    of: the devices and formats that made it; "" for all of them.
    """

    label: str
    short: str
    alt: str
    of: str
    picture: Picture
    error: Picture | None
    caption: str


@dataclass
class Photo:
    name: str
    simulated: bool
    facts: str
    of: str
    before: Picture
    before_label: str
    worst_psnr_db: float
    choices: list[Choice] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        pictures = [self.before, *(c.picture for c in self.choices), *(c.error for c in self.choices if c.error)]
        return sum(len(picture.uri) for picture in pictures)


def show_photos(reports: list[Report], folder: Path, filters: Filters) -> tuple[list[Photo], list[str]]:
    """The photos with what each artifact made of them, worst first, and sentences on what is left out."""
    pictured = [
        (figures, report, pictures)
        for report in reports
        for pictures in report.pictures
        for figures in report.fidelity.photos
        if figures.photo == pictures.photo
    ]
    pictured.sort(key=lambda item: item[0].psnr_db)
    wanted = list(dict.fromkeys(figures.photo for figures, _, _ in pictured))
    photos: list[Photo] = []
    missing = crowded = embedded = 0
    for name in wanted:
        if len(photos) == PHOTOS_SHOWN or embedded > EMBEDDED_BYTES_MOST:
            break
        alike = group_equal_outputs([item for item in pictured if item[0].photo == name])
        crowded += len(alike) > CHOICES_SHOWN
        try:
            photos.append(show_photo(alike[:CHOICES_SHOWN], folder, filters))
            embedded += photos[-1].bytes
        except PictureError:
            missing += 1
    omissions = []
    if missing:
        omissions.append(
            f"The pictures of {missing} photo{'s' * (missing > 1)} are not in the report folder and are not shown."
        )
    if len(wanted) > len(photos) + missing:
        omissions.append(f"The worst {len(photos)} of {len(wanted)} photos are shown.")
    if crowded:
        omissions.append(f"Of each photo the worst {CHOICES_SHOWN} different outputs are shown; the tables have all.")
    return photos, omissions


def group_equal_outputs(pictured: list[Pictured]) -> list[list[Pictured]]:
    """What is equal to the last bit of 8, and compared with the same reference, is one picture."""
    groups: dict[tuple[str, str], list[Pictured]] = {}
    for item in pictured:
        figures, report, _ = item
        groups.setdefault((figures.output_sha256, report.fidelity.reference_sha256), []).append(item)
    return list(groups.values())


def show_photo(alike: list[list[Pictured]], folder: Path, filters: Filters) -> Photo:
    """One photo: the artifacts' outputs, then each reference and the DSLR photo once.

    Raises:
        PictureError: a picture is missing, or not a picture.
    """
    worst, _, first = alike[0][0]
    before = embed(folder, first.before)
    scale = "shown 1:1" if before.scale == 1 else f"shown at {before.scale:.2f} of its size"
    photo = Photo(
        name=worst.photo,
        simulated=worst.simulated,
        facts=f"{worst.width_px}\N{MULTIPLICATION SIGN}{worst.height_px} px, {scale}; worst {worst.psnr_db:.1f} dB",
        of=filters.of(*(report for group in alike for _, report, _ in group)),
        before=before,
        before_label="simulated phone" if worst.simulated else "phone",
        worst_psnr_db=worst.psnr_db,
    )
    labels = distinct_labels([group[0][1] for group in alike])
    for label, group in zip(labels, alike, strict=True):
        figures, report, pictures = group[0]
        shift = ", ".join(f"{255 * part:+.2f}" for part in figures.colour_shift)
        error, factor = embed(folder, pictures.error_map), pictures.error_amplification
        black = " There is none." if error.black else f" White: {255 / factor:.3g} of 255 grey levels or more."
        also = f" Bit-identical in {len(group) - 1} more report{'s' * (len(group) > 2)}." if len(group) > 1 else ""
        photo.choices.append(
            Choice(
                label=label + (f" \N{MULTIPLICATION SIGN}{len(group)}" if len(group) > 1 else ""),
                short=short_label(report),
                alt=f"{figures.photo}, as {report.artifact.name} made it on {report.target.name}",
                of=filters.of(*(report for _, report, _ in group)),
                picture=embed(folder, pictures.after),
                error=error,
                caption=f"Error, \N{MULTIPLICATION SIGN}{factor:,}.{black} "
                f"{report.artifact.name} on {report.target.name}: "
                f"{figures.psnr_db:.1f} dB, SSIM {figures.ssim:.4f}, ΔE {figures.delta_e_2000:.3f}, "
                f"colour shift {shift} of 255.{also}",
            )
        )
    shown = [pictures for group in alike for _, _, pictures in group[:1]]
    others = [("float reference", "The float reference: what the artifacts must reproduce.", pictures.reference)
              for pictures in shown]  # fmt: skip
    others += [("DSLR photo", "The DSLR photo: what the generator learned to come close to.", pictures.dslr)
               for pictures in shown if pictures.dslr]  # fmt: skip
    seen: set[str] = set()
    for label, caption, path in others:
        picture = embed(folder, path)
        if picture.uri not in seen:
            seen.add(picture.uri)
            photo.choices.append(Choice(label, label, f"{worst.photo}, {label}", "", picture, None, caption))
    return photo


def short_label(report: Report) -> str:
    return f"{format_label(report.artifact.format)} {report.artifact.precision}"


def distinct_labels(reports: list[Report]) -> list[str]:
    """Format and precision, and where those are not enough the artifact, and then the device, too."""
    ways = [
        [short_label(report) for report in reports],
        [f"{short_label(report)}, {report.target.name}" for report in reports],
        [f"{report.artifact.name}, {report.target.name}" for report in reports],
    ]
    return [
        next((way[at] for way in ways if way.count(way[at]) == 1), f"{ways[2][at]} ({at + 1})")
        for at in range(len(reports))
    ]


def embed(folder: Path, relative: str) -> Picture:
    """A picture of the report folder as a data URI, at most LONGEST_SIDE_PX on its longer side.

    Raises:
        PictureError: missing, outside of the folder, or not a picture of reasonable size.
    """
    path = folder / relative
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise PictureError(f"{path}: leads out of the report folder")
        with Image.open(path, formats=["PNG", "JPEG"]) as opened:
            if opened.width * opened.height > LARGEST_PICTURE_PX:
                raise PictureError(f"{path}: larger than any report picture")
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path}: not a picture that can be shown ({error}); benchmark again") from error
    black = not image.getbbox()
    scale = min(1.0, LONGEST_SIDE_PX / max(image.size))
    if scale < 1:
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX
        )
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=90, subsampling=0)
    uri = "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
    return Picture(uri, image.width, image.height, scale, black)
