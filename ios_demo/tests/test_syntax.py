"""What can be proven of the Swift files without Swift: they parse, nothing in them ends the app on bad input, the names
in them are those of the contract, and every golden vector is read by a test."""

from __future__ import annotations

import json
import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_swift
import yaml

APP = Path(__file__).parent.parent
CONTRACT = APP.parent / "conversion" / "contract"
SWIFT = [
    APP.parent / "Package.swift",
    *(path for part in ("Sources", "App", "Tests") for path in sorted((APP / part).rglob("*.swift"))),
]
APPLE = (
    "CoreML",
    "CoreVideo",
    "CoreGraphics",
    "ImageIO",
    "UIKit",
    "SwiftUI",
    "Photos",
    "PhotosUI",
    "CryptoKit",
    "Metal",
)
ENDS_THE_APP = {"fatalError", "preconditionFailure", "precondition", "assertionFailure"}
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))


def parse(path: Path) -> tree_sitter.Node:
    return PARSER.parse(path.read_bytes()).root_node


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: tree_sitter.Node | None) -> str:
    return (node.text or b"").decode() if node else ""


def dangers(root: tree_sitter.Node) -> list[str]:
    """What does not parse, and what ends the app when something is not as it was thought to be."""
    found = ["it does not parse"] if root.has_error else []
    for node in walk(root):
        forced = node.type == "bang" and node.parent is not None and node.parent.type == "postfix_expression"
        operator = text(node) if node.type in {"try_operator", "as_operator"} else ""
        called = text(node.children[0]) if node.type == "call_expression" else ""
        if node.is_error or forced or operator in {"try!", "as!"} or called in ENDS_THE_APP:
            found.append(f"line {node.start_point.row + 1}: {text(node.parent)[:80]}")
    return found


@pytest.mark.parametrize("path", SWIFT, ids=lambda path: path.name)
def test_file_parses_and_nothing_in_it_ends_the_app(path: Path) -> None:
    assert not dangers(parse(path))


@pytest.mark.parametrize(
    "bad",
    ["let x = try! f()", "let x = y!", "let x = y!.z", "let x = y as! Int", "func f() { fatalError() }", "let = 3"],
)
def test_dangers_are_seen(bad: str) -> None:
    assert dangers(PARSER.parse(bad.encode()).root_node)


def test_harmless_code_is_no_danger() -> None:
    assert not dangers(PARSER.parse(b"let x = !y && z != 3; let a = try? f(); let b = y as? Int").root_node)


def test_core_imports_nothing_of_apple_and_the_rest_is_guarded() -> None:
    for path in SWIFT:
        imports = set(re.findall(r"^import (\w+)", path.read_text(), re.MULTILINE))
        if path.is_relative_to(APP / "Sources" / "PocketApp"):
            assert imports <= {"Foundation", "PocketCore"}, path.name
        elif path.is_relative_to(APP / "Sources" / "PocketCore"):
            assert imports <= {"Foundation"}, path.name
        elif path.is_relative_to(APP / "Sources" / "PocketApple"):
            lines = path.read_text().splitlines()
            assert lines[0].startswith("#if canImport(CoreML)") and lines[-1] == "#endif", path.name


def keys_in(path: Path) -> dict[str, set[str]]:
    """Type or enumeration -> the JSON keys that its CodingKey enumeration has."""
    found: dict[str, set[str]] = {}
    for node in walk(parse(path)):
        name = text(node.child_by_field_name("name"))
        if node.type != "class_declaration" or "enum" not in text(node)[: text(node).index("{")]:
            continue
        if "CodingKey" not in text(node)[: text(node).index("{")]:
            continue
        owner = node.parent
        while owner and owner.type != "class_declaration":
            owner = owner.parent
        key = f"{text(owner.child_by_field_name('name'))}.{name}" if owner else name
        found[key] = set()
        for entry in (n for n in walk(node) if n.type == "enum_entry"):
            names = [text(n) for n in entry.children if n.type == "simple_identifier"]
            raw = [text(n).strip('"') for n in entry.children if n.type == "line_string_literal"]
            found[key].update(raw if raw else names)
    return found


def objects_in(schema: Any) -> list[set[str]]:
    """The property names of every closed object in a schema."""
    found = []
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False and "properties" in schema:
            found.append(set(schema["properties"]))
        for part in schema.values():
            found += objects_in(part)
    elif isinstance(schema, list):
        for part in schema:
            found += objects_in(part)
    return found


@pytest.mark.parametrize(
    ("schema", "files", "not_written"),
    [
        ("manifest", ["Manifest.swift", "ManifestParts.swift"], []),
        # What only an emulator counts, and pictures, a phone does not export.
        (
            "report",
            ["Report.swift", "ReportParts.swift", "Latency.swift"],
            ["total", "instructions_per_px", "error_map"],
        ),
    ],
)
def test_names_in_swift_are_those_of_the_schema(schema: str, files: list[str], not_written: list[str]) -> None:
    swift = {name: keys for file in files for name, keys in keys_in(APP / "Sources" / "PocketCore" / file).items()}
    objects = objects_in(json.loads((CONTRACT / f"{schema}.schema.json").read_text()))
    for name, keys in swift.items():
        assert keys in objects, f"{name} has {sorted(keys)}, which is no object of {schema}.schema.json"
    for names in objects:
        assert names in swift.values() or names & set(not_written), f"no Swift type has {sorted(names)}"


def cases_of(path: Path, enumeration: str) -> set[str]:
    for node in walk(parse(path)):
        if node.type == "class_declaration" and text(node.child_by_field_name("name")) == enumeration:
            entries = [n for n in walk(node) if n.type == "enum_entry"]
            return {
                value
                for entry in entries
                for value in (
                    [text(n).strip('"') for n in entry.children if n.type == "line_string_literal"]
                    or [text(n) for n in entry.children if n.type == "simple_identifier"]
                )
            }
    raise AssertionError(f"{path.name} has no {enumeration}")


@pytest.mark.parametrize(
    ("enumeration", "file", "place"),
    [
        ("Format", "Manifest.swift", ("properties", "format")),
        ("Target", "Manifest.swift", ("properties", "target")),
        ("Precision", "Manifest.swift", ("properties", "precision")),
        ("Border", "TilePlan.swift", ("properties", "tiling", "properties", "border")),
        ("Dtype", "ManifestParts.swift", ("$defs", "tensor", "properties", "dtype")),
        ("Layout", "ManifestParts.swift", ("$defs", "tensor", "properties", "layout")),
    ],
)
def test_words_in_swift_are_those_of_the_schema(enumeration: str, file: str, place: tuple[str, ...]) -> None:
    schema = json.loads((CONTRACT / "manifest.schema.json").read_text())
    for key in place:
        schema = schema[key]
    assert cases_of(APP / "Sources" / "PocketCore" / file, enumeration) == set(schema["enum"])


def test_refusals_in_swift_are_those_of_the_vectors() -> None:
    refused = set()
    for name in ("manifests", "artifacts"):
        cases = json.loads((CONTRACT / "vectors" / f"{name}.json").read_text())["cases"]
        refused |= {case["refused"] for case in cases if case.get("refused")}
    assert cases_of(APP / "Sources" / "PocketCore" / "Refusal.swift", "Kind") == refused


def test_every_golden_vector_is_read_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (APP / "Tests" / "PocketCoreTests").glob("*.swift"))
    read = set(re.findall(r'GoldenVectors\.cases\("(\w+)"\)', tests))
    assert read == {path.stem for path in (CONTRACT / "vectors").glob("*.json")}


def test_project_files_name_what_exists() -> None:
    project = yaml.safe_load((APP / "project.yml").read_text())
    app = project["targets"]["PocketDSLR"]
    assert {"NSCameraUsageDescription", "NSPhotoLibraryAddUsageDescription"} <= set(app["info"]["properties"])
    for target in project["targets"].values():
        for source in target["sources"]:
            assert source.get("optional") or (APP / source["path"]).is_dir(), source["path"]
    products = set(re.findall(r'\.library\(name: "(\w+)"', (APP.parent / "Package.swift").read_text()))
    used = {d["product"] for target in project["targets"].values() for d in target["dependencies"] if "product" in d}
    assert used == products
    assert project["options"]["deploymentTarget"]["iOS"] == "17.0"
    on_ios = (APP.parent / "benchmarks" / "on_ios.py").read_text()
    assert 'SCHEME, TEST_TARGET = "PocketDSLR", "BenchmarkTests"' in on_ios
    assert "PocketDSLR" in project["schemes"] and "BenchmarkTests" in project["targets"]


def test_privacy_manifest_says_that_nothing_is_collected() -> None:
    privacy = plistlib.loads((APP / "App" / "PrivacyInfo.xcprivacy").read_bytes())
    assert privacy["NSPrivacyTracking"] is False and not privacy["NSPrivacyCollectedDataTypes"]
    (accessed,) = privacy["NSPrivacyAccessedAPITypes"]
    assert accessed["NSPrivacyAccessedAPIType"] == "NSPrivacyAccessedAPICategoryFileTimestamp"
