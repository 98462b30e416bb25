"""Every photo file that the field cases make, cut off or with bits turned: pixels or a PhotoError, and nothing else."""

from __future__ import annotations

import math
import traceback
from pathlib import Path

import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import training.photos
from benchmarks.robustness.fields import FieldCase, colours, photos, pictures
from training.photos import PhotoError
from training.photos.decoding import OpenPhoto, decode

PHOTOS = Path(training.photos.__file__).parent
MAX_BYTES = 200_000  # of the files that are damaged, so that damage meets their structure and not their pixels alone
MAX_SAMPLES = 10**6  # of photos that damage has made larger: only their headers are read
SCRIPTS = {"TIFF of another structure in a batch", "EXIF above 64 KB", "200 megapixels", "permission denied"}


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    files = []
    for case in (*colours.CASES, *photos.CASES, *pictures.CASES):
        if case.kind not in SCRIPTS:
            files += _files_of(case, tmp_path_factory.mktemp("case"))
    assert len(files) > 90
    return files


def _files_of(case: FieldCase, folder: Path) -> list[Path]:
    case.check(folder)
    return [path for path in sorted(folder.iterdir()) if 0 < path.stat().st_size <= MAX_BYTES]


def _pixels(opened: OpenPhoto) -> None:
    if math.prod(opened.shape) <= MAX_SAMPLES:
        opened.to_array()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_pixels_or_a_sentence(whole_files: list[Path], tmp_path: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(whole_files))
    content = bytearray(source.read_bytes())
    cut = data.draw(st.integers(1, len(content)))
    # Structure stands at the beginning in most formats, and behind the pixels in TIFF.
    near = st.one_of(
        st.integers(0, min(300, cut) - 1), st.integers(max(0, cut - 300), cut - 1), st.integers(0, cut - 1)
    )
    for place, bits in data.draw(st.lists(st.tuples(near, st.integers(1, 255)), max_size=4)):
        content[place] ^= bits
    path = tmp_path / source.name
    path.write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    try:
        decode(path, _pixels)
    except PhotoError as error:
        assert str(error).startswith(str(path)) and str(error).isprintable()
        assert not _is_ours(error.__cause__), traceback.format_exception(error)


def _is_ours(cause: BaseException | None) -> bool:
    """Whether a reader of this project stumbled, instead of finding that a file is broken."""
    if cause is None or isinstance(cause, ValueError | pyvips.Error | Image.DecompressionBombError):
        return False
    return Path(traceback.extract_tb(cause.__traceback__)[-1].filename).is_relative_to(PHOTOS)
