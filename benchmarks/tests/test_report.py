from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import Pictures, Report, ReportError, canonical_json, is_safe_path, safe_name
from benchmarks.report.measured import InstructionCount, Instructions

CONTRACT = Path(__file__).parents[2] / "conversion" / "contract"
EXAMPLE = CONTRACT / "report.example.json"
SCHEMA = json.loads((CONTRACT / "report.schema.json").read_text())


def load_text(folder: Path, text: str) -> Report:
    path = folder / "some__report.json"
    path.write_text(text)
    return Report.load(path)


def test_what_contradicts_itself_is_refused(make_report) -> None:
    report = make_report(photos=("a", "b"))
    for name in ("psnr_db_mean", "psnr_db_worst", "ssim_mean", "delta_e_2000_mean", "colour_shift_worst"):
        with pytest.raises(ValueError, match=f"{name} is not that of its photos"):
            replace(report.fidelity, **{name: getattr(report.fidelity, name) + 0.01})
    with pytest.raises(ValueError, match="enhance_ms_per_megapixel is not that of a tile"):
        replace(report, timing=replace(report.timing, enhance_ms_per_megapixel=1.0))
    with pytest.raises(ValueError, match="not the number of samples"):
        replace(report, protocol=replace(report.protocol, runs=21))
    count = InstructionCount(1600, {"vector": 900})
    with pytest.raises(ValueError, match="instructions_per_px is not that of a tile"):
        replace(report, instructions=Instructions(count, count, 1.5, 3, 0.0))
    with pytest.raises(ValueError, match="at most all"):
        replace(count, by_class={"vector": 1601})


def test_round_trip(make_report, tmp_path: Path) -> None:
    report = make_report(photos=("a", "b"))
    path = report.save(tmp_path)
    assert path.name == "tiny-tflite-fp32__host-x86-64.json"
    again = Report.load(path)
    assert again.to_json() == path.read_text()
    assert math.isclose(again.fidelity.psnr_db_worst, report.fidelity.psnr_db_worst, abs_tol=1e-6)
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)


def test_the_example_of_the_contract_is_a_canonical_report() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(EXAMPLE.read_text()), SCHEMA)
    assert Report.load(EXAMPLE).to_json() == EXAMPLE.read_text()


def test_a_report_without_timing_round_trips(make_report, tmp_path: Path) -> None:
    report = replace(make_report(), timing=None, peak_memory_mb=None, baseline_memory_mb=None)
    assert Report.load(report.save(tmp_path)).timing is None


@given(st.recursive(st.floats(-1e9, 1e9) | st.integers() | st.text() | st.booleans() | st.none(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_canonical_json_is_json_and_a_fixed_point(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


def test_canonical_floats_have_six_decimals_and_no_minus_zero() -> None:
    assert (
        canonical_json([1.5, -1e-9, 1e-7, 123456.0]) == "[\n  1.500000,\n  0.000000,\n  0.000000,\n  123456.000000\n]"
    )


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_become_safe_and_stay_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?!_))*", safe_name(one))
    assert len(safe_name(one)) <= 120
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_safe_names_are_kept() -> None:
    assert safe_name("pocket-clean-tflite-fp32") == "pocket-clean-tflite-fp32"
    assert safe_name("../../etc/passwd").startswith("etc-passwd-")


@pytest.mark.parametrize("path", ["../a.png", "/a.png", "a/../b.png", "a//b.png", "", ".", "..", "a/.b", "a\\b", "a\nb",
                                  "C:a", "a b.png", "a/", "http://x/a.png", "a\x00b"])  # fmt: skip
def test_pictures_cannot_leave_the_folder(path: str, make_report, tmp_path: Path) -> None:
    assert not is_safe_path(path)
    with pytest.raises(ValueError, match="leaves the folder"):
        Pictures("p", path, "a.png", "r.png", "e.png", 32, None)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(item, (*path, key))


EXAMPLE_RECORD = json.loads(EXAMPLE.read_text())
EXAMPLE_RECORD["artifact"]["sha256"] = {"model.tflite": EXAMPLE_RECORD["artifact"]["sha256"]["model.tflite"]}
FREE_MAPPINGS = {"tool_versions", "sha256", "facts", "by_class"}
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
POISONS: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    1e300,
    "",
    "x",
    "../x",
    "<script>",
    [],
    {},
    [[]],
    {"x": 1},
    "y" * 2001,
]


@pytest.mark.parametrize(
    "path",
    [p for p in leaves(EXAMPLE_RECORD) if p and not any(isinstance(key, int) and key for key in p)],
    ids=lambda p: ".".join(map(str, p)),
)
def test_every_field_is_checked_as_the_schema_checks_it(path: tuple[Any, ...], tmp_path: Path) -> None:
    """A value is refused by `Report.load` wherever the schema refuses it; a missing or an extra field always is."""
    refusals = 0
    for poison in POISONS:
        record = copy.deepcopy(EXAMPLE_RECORD)
        parent = record
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = poison
        try:
            load_text(tmp_path, json.dumps(record))
        except ReportError:
            refusals += 1
        else:
            VALIDATOR.validate(record)
    assert refusals > len(POISONS) / 2
    record = copy.deepcopy(EXAMPLE_RECORD)
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    if isinstance(parent, dict) and not FREE_MAPPINGS.intersection(path[:-1]):
        del parent[path[-1]]
        with pytest.raises(ReportError, match="lacks"):
            load_text(tmp_path, json.dumps(record))
        parent[path[-1]] = None
        parent["extra"] = 1
        with pytest.raises(ReportError):
            load_text(tmp_path, json.dumps(record))


@pytest.mark.parametrize("text", ["", "[]", "null", "1", "{", "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', "\x00",
                                  '{"date": "x", "date": "y"}', "9" * 5000])  # fmt: skip
def test_hostile_text_is_one_clear_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"some__report\.json: not a report of this project") as caught:
        load_text(tmp_path, text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b" " * (9 << 20)], ids=["not UTF-8", "too large"])
def test_hostile_bytes_are_one_clear_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a__b.json").write_bytes(content)
    with pytest.raises(ReportError, match=r"a__b\.json"):
        Report.load(tmp_path / "a__b.json")


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"none__here\.json"):
        Report.load(tmp_path / "none__here.json")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_figures_must_be_finite(constant: str, make_report, tmp_path: Path) -> None:
    text = re.sub(r'"peak_memory_mb": [\d.]+', f'"peak_memory_mb": {constant}', make_report().to_json())
    with pytest.raises(ReportError):
        load_text(tmp_path, text)


@pytest.mark.parametrize("date", ["2026-13-01T00:00:00Z", "2026-01-01", "yesterday", "2026-01-01T25:00:00Z"])
def test_dates_must_exist(date: str, make_report, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"date|month|hour"):
        load_text(tmp_path, make_report().to_json().replace("2026-01-02T03:04:05Z", date))
