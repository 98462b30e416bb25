"""Published weights: the TensorFlow checkpoint reader under hostile bytes, the mapping, the import script.

The checkpoints here are written by a small writer of the same format; real ones are read where they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import import_published
from training.checkpoint import Checkpoint
from training.generators.dped import Dped, DpedConfig
from training.generators.ppcn import PpcnStudent, PpcnTeacher
from training.published.networks import to_generator
from training.published.tensorflow_checkpoint import PublishedError, TensorFlowCheckpoint, read_checkpoint

Tensors = dict[str, npt.NDArray[np.float32]]
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FUZZ = settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def masked(raw: bytes) -> int:
    crc = google_crc32c.value(raw)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def entry_message(values: npt.NDArray[np.float32], offset: int, crc: int | None = None) -> bytes:
    """BundleEntryProto of a float32 variable."""
    dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(side) for side in values.shape))
    size = values.nbytes
    checksum = masked(values.tobytes()) if crc is None else crc
    return (
        b"\x08\x01\x12" + varint(len(dims)) + dims + (b"\x20" + varint(offset) if offset else b"")
        + b"\x28" + varint(size) + b"\x35" + struct.pack("<I", checksum)
    )  # fmt: skip


def block_of(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A table block with prefix-compressed keys and one restart point."""
    out, last = b"", b""
    for key, value in entries:
        shared = next((k for k, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1)


def sealed(block: bytes) -> bytes:
    """A block with its trailer: no compression, right checksum."""
    return block + b"\0" + struct.pack("<I", masked(block + b"\0"))


@dataclass
class Parts:
    """A checkpoint before it is sealed, so that a test can damage it and keep the checksums right."""

    data: bytes
    block: bytes
    index_block: bytes | None = None

    def write(self, prefix: Path) -> Path:
        index_block = self.index_block or block_of([(b"zz", varint(0) + varint(len(self.block)))])
        body = sealed(self.block)
        handles = varint(len(body)) + varint(8)
        body += sealed(block_of([]))
        handles += varint(len(body)) + varint(len(index_block))
        body += sealed(index_block)
        Path(f"{prefix}.index").write_bytes(body + handles.ljust(40, b"\0") + MAGIC)
        Path(f"{prefix}.data-00000-of-00001").write_bytes(self.data)
        return prefix


def parts_of(tensors: Tensors) -> Parts:
    entries, data = [(b"", b"\x08\x01\x1a\x02\x08\x01")], b""
    for name in sorted(tensors):
        entries.append((name.encode(), entry_message(tensors[name], len(data))))
        data += tensors[name].tobytes()
    return Parts(data, block_of(entries))


def random_variables(generator: torch.nn.Module, scope: str, first: int, seed: int = 0) -> Tensors:
    """Values under the names and shapes of the authors' code, written out here once more by hand."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    norms = convolutions = 0
    for module in generator.modules():
        if isinstance(module, torch.nn.Conv2d):
            out, into, height, width = module.weight.shape
            tensors[f"{scope}/W{first + convolutions}"] = rng.normal(size=(height, width, into, out)).astype("f4")
            tensors[f"{scope}/b{first + convolutions}"] = rng.normal(size=out).astype("f4")
            convolutions += 1
        elif type(module).__name__ == "InstanceNorm":
            for variable in (2 * norms, 2 * norms + 1):
                name = "Variable" if variable == 0 else f"Variable_{variable}"
                tensors[f"{scope}/{name}"] = rng.normal(size=module.channels).astype("f4")
            norms += 1
    return tensors


@pytest.fixture
def student(tmp_path: Path) -> tuple[Path, Tensors]:
    tensors = random_variables(PpcnStudent(), "generator_little", 0)
    return parts_of(tensors).write(tmp_path / "student.ckpt"), tensors


def same(checkpoint: TensorFlowCheckpoint, tensors: Tensors) -> bool:
    return checkpoint.tensors.keys() == tensors.keys() and all(
        np.array_equal(checkpoint.tensors[name], tensors[name]) for name in tensors
    )


def refusal(path: Path) -> str:
    """The sentence with which reading and mapping fail; anything but a PublishedError fails the test."""
    with pytest.raises(PublishedError) as caught:
        to_generator(read_checkpoint(path))
    sentence = str(caught.value)
    assert "\n" not in sentence and str(path) in sentence
    return sentence


def test_reads_what_was_written(student: tuple[Path, Tensors]) -> None:
    prefix, tensors = student
    for suffix in ("", ".index", ".data-00000-of-00001", ".meta"):
        checkpoint = read_checkpoint(Path(f"{prefix}{suffix}"))
        assert checkpoint.prefix == prefix and same(checkpoint, tensors)
        assert [path.name for path in checkpoint.files] == ["student.ckpt.index", "student.ckpt.data-00000-of-00001"]


def test_student_mapping_puts_every_value_in_its_place(student: tuple[Path, Tensors]) -> None:
    prefix, tensors = student
    generator = to_generator(read_checkpoint(prefix))
    assert isinstance(generator, PpcnStudent)
    state = generator.state_dict()
    kernel = tensors["generator_little/W1"]  # 7 x 1, from 8 to 8 channels
    for i in range(7):
        for into in range(8):
            for out in range(8):
                assert state["convolutions.1.weight"][out, into, i, 0] == kernel[i, 0, into, out]
    for ours, theirs in {
        "convolutions.0.bias": "b0",
        "convolutions.4.bias": "b4",
        "norms.1.bias": "Variable",
        "norms.1.weight": "Variable_1",
        "norms.2.bias": "Variable_2",
        "norms.2.weight": "Variable_3",
    }.items():
        assert np.array_equal(state[ours].numpy(), tensors[f"generator_little/{theirs}"])


def test_dped_and_teacher_are_recognised(tmp_path: Path) -> None:
    tensors = random_variables(Dped(), "generator", 1)
    assert len(tensors) == 40
    extra = {"generator/W1/Adam": tensors["generator/W1"], "discriminator/W1": np.ones(3, np.float32)}
    generator = to_generator(read_checkpoint(parts_of(tensors | extra).write(tmp_path / "iphone_orig")))
    state = generator.state_dict()
    assert isinstance(generator, Dped) and generator.parameter_count() == 401_475
    for ours, theirs in {
        "head.weight": "W1", "body.0.weight": "W2", "body.7.weight": "W9",
        "post.0.weight": "W10", "post.1.weight": "W11", "tail.weight": "W12",
    }.items():  # fmt: skip
        assert np.array_equal(state[ours].numpy(), tensors[f"generator/{theirs}"].transpose(3, 2, 0, 1))
    assert np.array_equal(state["norms.7.weight"].numpy(), tensors["generator/Variable_15"])
    tensors = random_variables(PpcnTeacher(), "generator_s", 0)
    generator = to_generator(read_checkpoint(parts_of(tensors).write(tmp_path / "teacher.ckpt")))
    assert isinstance(generator, PpcnTeacher) and generator.parameter_count() == 21_843
    assert np.array_equal(generator.state_dict()["norms.4.bias"].numpy(), tensors["generator_s/Variable_6"])


@given(st.data())
@FUZZ
def test_flipped_bytes_are_found_or_harmless(student: tuple[Path, Tensors], draw: st.DataObject) -> None:
    """A flip in padding changes nothing; any other is named. Never another exception, never other weights."""
    prefix, tensors = student
    which = draw.draw(st.sampled_from([".index", ".data-00000-of-00001"]))
    path = Path(f"{prefix}{which}")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    for _ in range(draw.draw(st.integers(1, 3))):
        damaged[draw.draw(st.integers(0, len(whole) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        path.write_bytes(damaged)
        assert same(read_checkpoint(prefix), tensors)
    except PublishedError as error:
        assert str(prefix) in str(error)
    finally:
        path.write_bytes(whole)


@given(st.sampled_from([".index", ".data-00000-of-00001"]), st.floats(0, 1, exclude_max=True))
@FUZZ
def test_truncated_files_are_found(student: tuple[Path, Tensors], which: str, share: float) -> None:
    prefix, _ = student
    path = Path(f"{prefix}{which}")
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: int(share * len(whole))])
        assert which in refusal(prefix)
    finally:
        path.write_bytes(whole)


@given(st.data())
@FUZZ
def test_damage_under_right_checksums_is_refused_in_one_sentence(tmp_path: Path, draw: st.DataObject) -> None:
    """The checksums hide the parser from plain damage, so here they are made right again afterwards."""
    parts = parts_of({"generator_little/b0": np.arange(8, dtype="f4"), "generator_little/b1": np.ones(8, "f4")})
    parts.index_block = block_of([(b"zz", varint(0) + varint(len(parts.block)))])
    where = draw.draw(st.sampled_from(["block", "index_block"]))
    damaged = bytearray(getattr(parts, where))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        edit = draw.draw(st.sampled_from(["set", "insert", "cut"]))
        if edit == "set":
            damaged[at] = draw.draw(st.integers(0, 255))
        elif edit == "insert":
            damaged[at:at] = draw.draw(st.binary(min_size=1, max_size=12))
        elif len(damaged) > 8:
            del damaged[at : at + draw.draw(st.integers(1, 8))]
        if not damaged:
            break
    setattr(parts, where, bytes(damaged))
    refusal(parts.write(tmp_path / "fuzz"))  # refused in any case: this is no whole generator


@given(st.binary(max_size=300), st.binary(max_size=40))
@FUZZ
def test_any_bytes_with_the_right_ending_are_refused(tmp_path: Path, body: bytes, footer: bytes) -> None:
    (tmp_path / "any.index").write_bytes(body + footer.ljust(40, b"\0") + MAGIC)
    (tmp_path / "any.data-00000-of-00001").write_bytes(b"")
    refusal(tmp_path / "any")


def entry_with(shape: tuple[int, ...], size: int, dtype: int = 1, rest: bytes = b"") -> bytes:
    dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(side) for side in shape))
    return b"\x08" + varint(dtype) + b"\x12" + varint(len(dims)) + dims + b"\x28" + varint(size) + rest


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (entry_with((8,), 36), "shape and size"),
        (entry_with((2**62,), 2**64), "GiB"),
        (entry_with((2**62, 0), 0), "no values"),
        (entry_with((1,) * 9, 4), "dimensions"),
        (entry_with((1,), 4, dtype=7), "data type 7"),
        (entry_with((1,), 4, rest=b"\x18\x05"), "data file"),
        (entry_with((1,), 4, rest=b"\x20\xff\xff\xff\xff\x7f"), "past the end"),
        (entry_with((1,), 4, rest=b"\x3a\x00"), "slices"),
        (entry_with((1,), 4, rest=b"\x20" + b"\xff" * 10 + b"\x01"), "10 bytes"),
        (entry_with((1,), 4, rest=b"\x0a\x01a"), "bytes where a number"),
        (entry_with((1,), 4, rest=b"\x10\x01"), "number where a message"),
        (entry_with((1,), 4, rest=b"\x3b"), "no known type"),
    ],
)
def test_lying_records_are_refused(tmp_path: Path, entry: bytes, fault: str) -> None:
    block = block_of([(b"", b"\x08\x01"), (b"generator/b1", entry)])
    assert fault in refusal(Parts(b"\0" * 64, block).write(tmp_path / "lying"))


def test_bounds_of_the_index(tmp_path: Path) -> None:
    assert "big-endian" in refusal(Parts(b"", block_of([(b"", b"\x08\x01\x10\x01")])).write(tmp_path / "big"))
    assert "0 data files" in refusal(Parts(b"", block_of([(b"", b"")])).write(tmp_path / "none"))
    many = Parts(b"", block_of([(b"", b"\x08" + varint(10**6))]))
    assert "1000000 data files" in refusal(many.write(tmp_path / "many"))
    one = np.ones(1, "f4")
    twice = Parts(one.tobytes(), block_of([(b"", b"\x08\x01"), *[(b"generator/b1", entry_message(one, 0))] * 2]))
    assert "twice" in refusal(twice.write(tmp_path / "twice"))
    again = Parts(b"", block_of([]), block_of([(b"a", varint(0) + varint(8))] * 2))
    assert "overlap" in refusal(again.write(tmp_path / "again"))
    long = Parts(b"", block_of([(b"", b"\x08\x01"), (b"n" * 2000, entry_message(one, 0))]))
    assert "longer" in refusal(long.write(tmp_path / "long"))
    (tmp_path / "huge.index").write_bytes(b"\0" * (1 << 20) + MAGIC)
    assert "1 MiB" in refusal(tmp_path / "huge")


def test_two_variables_in_one_place_are_refused(tmp_path: Path) -> None:
    """Else a small file could ask for any amount of memory."""
    values = np.ones(8, "f4")
    block = block_of([(b"", b"\x08\x01"), (b"a", entry_message(values, 0)), (b"b", entry_message(values, 4))])
    assert "over another" in refusal(Parts(values.tobytes() * 2, block).write(tmp_path / "shared"))


def test_missing_files_and_folders(tmp_path: Path, student: tuple[Path, Tensors]) -> None:
    prefix, _ = student
    assert "no such file" in refusal(tmp_path / "absent")
    for odd in (tmp_path, Path(), Path("/"), Path(".index"), Path("a\0b")):
        with pytest.raises(PublishedError, match="no such file"):
            read_checkpoint(odd)
    Path(f"{prefix}.data-00000-of-00001").unlink()
    assert "data-00000-of-00001: no such file" in refusal(prefix)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.pop("generator_little/W3"), "W3 is missing"),
        (lambda t: t.update({"generator_little/W9": np.ones(3, "f4")}), "W9 is not part"),
        (lambda t: t.update({"generator_little/b0": np.ones(9, "f4")}), "b0 is float32 [9]"),
        (lambda t: t.update({"generator_little/b0": np.full(8, np.nan, "f4")}), "not finite"),
        (lambda t: t.clear(), "no generator known"),
        (lambda t: (t.clear(), t.update({"resnet/W1": np.ones(3, "f4")})), "resnet/W1"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change, fault: str) -> None:  # type: ignore[no-untyped-def]
    tensors = random_variables(PpcnStudent(), "generator_little", 0)
    change(tensors)
    assert fault in refusal(parts_of(tensors).write(tmp_path / "other"))


def test_import_script(student: tuple[Path, Tensors], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix, tensors = student
    assert import_published.main([f"{prefix}.index", "--out", str(tmp_path / "out")]) == 0
    made = Path(capsys.readouterr().out.splitlines()[-1])
    assert made == tmp_path / "out" / "ppcn-student.safetensors"
    checkpoint = Checkpoint.load(made)
    assert checkpoint.name == "ppcn-student"
    assert checkpoint.licence == "research use: the authors state no licence for these weights"
    assert set(checkpoint.provenance["source_files"]) == {"student.ckpt.index", "student.ckpt.data-00000-of-00001"}
    assert all(len(digest) == 64 for digest in checkpoint.provenance["source_files"].values())
    assert np.array_equal(checkpoint.generator.state_dict()["convolutions.3.bias"], tensors["generator_little/b3"])
    assert import_published.main([str(prefix), "--out", str(tmp_path), "--name", "mine"]) == 0
    assert (tmp_path / "mine.safetensors").is_file()


def test_import_script_fails_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.index").write_bytes(b"not a table")
    for arguments in (["absent"], ["broken"], ["broken", "--name", "../x"]):
        code = import_published.main([str(tmp_path / arguments[0]), *arguments[1:], "--out", str(tmp_path / "out")])
        out, err = capsys.readouterr()
        assert code == 1 and not out and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stem", "kind", "name"),
    [
        ("iphone_orig", "dped", "dped-iphone"),
        ("student.ckpt", "ppcn_student", "ppcn-student"),
        ("iphone_iteration_20000", "dped", "dped-iphone-iteration-20000"),
        ("../Ü|x", "dped", "dped-x"),
    ],
)
def test_names(stem: str, kind: str, name: str) -> None:
    assert import_published.checkpoint_name(stem, kind) == name


@pytest.mark.parametrize(
    ("path", "kind", "parameters", "variables"),
    [
        ("dped_models_orig/iphone_orig", "dped", 401_475, 40),
        ("dped_models_orig/blackberry_orig", "dped", 401_475, 40),
        ("dped_models_orig/sony_orig", "dped", 401_475, 40),
        ("peers/ppcn/student.ckpt", "ppcn_student", 2_715, 14),
        ("peers/ppcn/teacher.ckpt", "ppcn_teacher", 21_843, 24),
    ],
)
def test_the_real_ones(pocket_data: Path, path: str, kind: str, parameters: int, variables: int) -> None:
    checkpoint = read_checkpoint(pocket_data / path)
    generator = to_generator(checkpoint)
    assert len(checkpoint.tensors) == variables
    assert generator.name == kind and generator.parameter_count() == parameters
    # Every byte of the data files belongs to a variable whose checksum was verified.
    assert sum(values.nbytes for values in checkpoint.tensors.values()) == checkpoint.files[1].stat().st_size


def test_thumbnail_changes_the_condition_alone() -> None:
    generator = Dped(DpedConfig(channels=4, blocks=1))
    smaller = import_published.with_thumbnail(generator, 64)
    assert smaller.thumbnail_px == 64 and generator.thumbnail_px == 256
    for name, weights in generator.state_dict().items():
        assert torch.equal(smaller.state_dict()[name], weights)
