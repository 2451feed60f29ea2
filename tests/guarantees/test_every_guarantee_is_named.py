"""The maps of what is promised: each promise is stated in a document, which names tests that name the promise.

docs/guarantees.md has the guarantees (G1 and so on), docs/defences.md the defences (D1 and so on).
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from scheduler_project.env_file import BASE_DIR

DOCUMENTS = {"G": BASE_DIR / "docs" / "guarantees.md", "D": BASE_DIR / "docs" / "defences.md"}
PROMISES = [("G", number) for number in range(1, 25)] + [("D", number) for number in range(1, 13)]
PROVED_BY = re.compile(r"\]\((\.\./tests/[^)]+\.py)\)")


@cache
def stated(letter: str) -> dict[int, str]:
    """What the document says about each promise, up to the next one or the next heading."""
    text = DOCUMENTS[letter].read_text(encoding="utf-8")
    parts = re.split(rf"^\*\*{letter}(\d+)\. ", text, flags=re.MULTILINE)
    return {int(number): part.partition("\n## ")[0] for number, part in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def named_by(path: Path, letter: str) -> frozenset[int]:
    """The promises that a test file names: in names of tests, or in docstrings of the module and of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    found = {int(number) for test in tests for number in re.findall(rf"_{letter.lower()}(\d+)(?=_)", test.name)}
    documented = [ast.get_docstring(tree) or "", *(ast.get_docstring(test) or "" for test in tests)]
    return frozenset(found | {int(number) for text in documented for number in re.findall(rf"\b{letter}(\d+)\b", text)})


@pytest.mark.parametrize(("letter", "number"), PROMISES)
def test_the_document_states_it_and_every_test_that_it_points_to_names_it(letter: str, number: int) -> None:
    paths = [(BASE_DIR / "docs" / link).resolve() for link in PROVED_BY.findall(stated(letter)[number])]
    assert paths
    assert [path.name for path in paths if number not in named_by(path, letter)] == []


@pytest.mark.parametrize("letter", DOCUMENTS)
def test_the_document_states_no_other(letter: str) -> None:
    assert list(stated(letter)) == [number for kind, number in PROMISES if kind == letter]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=lambda path: path.name)
def test_every_file_that_the_document_links_to_exists(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=lambda path: path.name)
def test_every_test_that_the_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", document.read_text(encoding="utf-8")))
    paths = (BASE_DIR / "tests").rglob("test_*.py")
    existing = {
        name for path in paths for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert named - existing == set()
