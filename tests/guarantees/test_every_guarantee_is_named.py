"""The map of the guarantees: docs/guarantees.md states each, and names tests that name it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from scheduler_project.env_file import BASE_DIR

DOCUMENT = BASE_DIR / "docs" / "guarantees.md"
NUMBERS = range(1, 25)
PROVED_BY = re.compile(r"\]\((\.\./tests/[^)]+\.py)\)")
RANGE = re.compile(r"\bG(\d+)\b")
IN_A_NAME = re.compile(r"_g(\d+)(?=_)")


@cache
def stated() -> dict[int, str]:
    """What the document says about each guarantee, up to the next one or the next heading."""
    text = DOCUMENT.read_text(encoding="utf-8")
    parts = re.split(r"^\*\*G(\d+)\. ", text, flags=re.MULTILINE)
    return {int(number): part.partition("\n## ")[0] for number, part in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def named_by(path: Path) -> frozenset[int]:
    """The guarantees that a test file names: in names of tests, or in docstrings of the module and of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    found = {int(number) for test in tests for number in IN_A_NAME.findall(test.name)}
    documented = [ast.get_docstring(tree) or "", *(ast.get_docstring(test) or "" for test in tests)]
    return frozenset(found | {int(number) for text in documented for number in RANGE.findall(text)})


@pytest.mark.parametrize("number", NUMBERS)
def test_the_document_states_it_and_every_test_that_it_points_to_names_it(number: int) -> None:
    paths = [(DOCUMENT.parent / link).resolve() for link in PROVED_BY.findall(stated()[number])]
    assert paths
    assert [path.name for path in paths if number not in named_by(path)] == []


def test_the_document_states_no_other() -> None:
    assert list(stated()) == list(NUMBERS)


def test_every_file_that_the_document_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert [link for link in links if not (DOCUMENT.parent / link).exists()] == []
