"""The shape of the code base, read from its imports: who may import whom, what stays pure, how long things get."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from scheduler_project.env_file import BASE_DIR

# A domain module may import its own app's and those to the left of it.
DOMAIN_APPS = ("targets", "schedules", "runs", "worker")
APPS = (*DOMAIN_APPS, "access", "scheduler_project")
INTERFACE_NAMES = {"admin", "apps", "filters", "serializers", "urls", "views"}
COMMANDS = ".management.commands."
NETWORK = {"requests", "urllib3", "socket", "http.client", "urllib.request", "httplib2", "httpx", "aiohttp"}
PURE = {
    "targets.request_spec",
    "targets.egress",
    "schedules.recurrence",
    "schedules.fire_plan",
    "runs.histograms",
    "runs.identity",
    "runs.outcome",
    "runs.retention",
    "runs.retry",
}
IMPURE_IMPORTS = {"django", "environ", "os", "rest_framework", "scheduler_project"}
CLOCK_CALLS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime"}
CLOCK_OWNERS = {"datetime", "date", "time", "timezone"}
VAGUE_NAMES = {"base", "common", "helper", "helpers", "misc", "util", "utils"}
LONGEST_FILE = 299
LONGEST_FUNCTION = 39
LONGEST_TEST_FILE = 599
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its text and its syntax tree."""

    name: str
    source: str

    @property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.source)

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return len(self.source.splitlines())

    @property
    def app(self) -> str:
        """The package it belongs to."""
        return self.name.partition(".")[0]

    @property
    def is_interface(self) -> bool:
        """Whether it faces people or programs (and so may import any domain module)."""
        return (
            self.app == "scheduler_project"
            or COMMANDS in self.name
            or (self.app in (*DOMAIN_APPS, "access") and self.name.rpartition(".")[2] in INTERFACE_NAMES)
        )

    def imports(self) -> Iterator[str]:
        """Every imported module; for `from a import b` both `a` and `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[Function]:
        """Every function and method."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))


@cache
def production_modules() -> dict[str, Module]:
    """All production code by dotted name, migrations left out."""
    modules = {}
    for app in APPS:
        for path in sorted((BASE_DIR / app).rglob("*.py")):
            if "migrations" not in path.parts:
                name = ".".join(path.relative_to(BASE_DIR).with_suffix("").parts).removesuffix(".__init__")
                modules[name] = Module(name, path.read_text(encoding="utf-8"))
    return modules


def forbidden_imports(module: Module) -> list[str]:
    """Imports that go against the direction `targets <- schedules <- runs <- worker`, or up to an interface module."""
    if module.is_interface:
        return []
    allowed = {module.app, *DOMAIN_APPS[: DOMAIN_APPS.index(module.app)]} if module.app in DOMAIN_APPS else {"access"}
    ours = [name for name in module.imports() if name.partition(".")[0] in APPS]
    return [name for name in ours if name.partition(".")[0] not in allowed or Module(name, "").is_interface]


def local_imports(module: Module) -> list[int]:
    """Line numbers of imports inside functions."""
    inside = [node for function in module.functions() for node in ast.walk(function)]
    return [node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]


def network_imports(module: Module) -> list[str]:
    """Imports that can open a connection to somewhere."""
    return [name for name in module.imports() if name in NETWORK or name.partition(".")[0] in NETWORK]


def impurities(module: Module) -> list[str]:
    """What keeps a module from being a function of its arguments: Django, the environment, or a clock."""
    found = [name for name in module.imports() if name.partition(".")[0] in IMPURE_IMPORTS or name.endswith(".models")]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            owner = node.func.value
            owner_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if owner_name in CLOCK_OWNERS:
                found.append(f"{owner_name}.{node.func.attr}() on line {node.lineno}")
    return found


def pure_modules() -> set[str]:
    """The modules that must be pure, and those of ours that they import."""
    modules, found, waiting = production_modules(), set(), {name for name in PURE if name in production_modules()}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {used for used in modules[name].imports() if used in modules and "." in used} - found
    return found


def long_functions(module: Module) -> list[str]:
    """Functions that don't fit on a screen."""
    return [
        f"{function.name} ({length} lines)"
        for function in module.functions()
        if function.end_lineno and (length := function.end_lineno - function.lineno + 1) > LONGEST_FUNCTION
    ]


def offenders(rule: Callable[[Module], object], modules: Iterable[Module]) -> dict[str, object]:
    """What a rule finds, by module; modules without findings left out."""
    return {module.name: found for module in modules if (found := rule(module))}


def test_a_domain_module_imports_only_what_lies_below_it() -> None:
    assert offenders(forbidden_imports, production_modules().values()) == {}


def test_imports_stand_at_the_top() -> None:
    assert offenders(local_imports, production_modules().values()) == {}


def test_only_the_worker_can_open_connections() -> None:
    others = [module for module in production_modules().values() if module.app != "worker"]
    assert offenders(network_imports, others) == {}


def test_every_module_that_promises_to_be_pure_exists() -> None:
    assert production_modules().keys() >= PURE


def test_a_pure_module_depends_on_its_arguments_alone() -> None:
    assert offenders(impurities, [production_modules()[name] for name in sorted(pure_modules())]) == {}


def test_functions_stay_short() -> None:
    assert offenders(long_functions, production_modules().values()) == {}


def test_files_stay_short() -> None:
    too_long = [name for name, module in production_modules().items() if module.lines > LONGEST_FILE]
    assert too_long == []


def test_test_files_stay_readable() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (BASE_DIR / "tests").rglob("*.py")}
    assert [path for path, lines in lengths.items() if lines > LONGEST_TEST_FILE] == []


def test_names_say_what_is_inside() -> None:
    assert [name for name in production_modules() if VAGUE_NAMES & set(name.split("."))] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("targets.models", "from schedules.models import Schedule"),
        ("schedules.services", "import runs.models"),
        ("runs.claim", "from worker import pool"),
        ("runs.claim", "from runs.views import RunViewSet"),
        ("runs.claim", "from runs import admin"),
        ("worker.loop", "from worker.management.commands.runscheduler import Command"),
        ("worker.loop", "from scheduler_project.settings import DEBUG"),
        ("worker.loop", "from access.models import ApiKey"),
        ("access.keys", "from targets.models import Target"),
        ("access.keys", "from scheduler_project import problems"),
        ("access.keys", "from access.views import ApiKeyViewSet"),
    ],
)
def test_an_import_against_the_direction_is_found(name: str, source: str) -> None:
    assert forbidden_imports(Module(name, source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("runs.claim", "from schedules.models import Schedule"),
        ("runs.views", "from worker.executor import Executor"),
        ("worker.management.commands.runscheduler", "from scheduler_project.env import read_integer"),
        ("scheduler_project.api", "from runs.views import RunViewSet"),
        ("access.views", "from scheduler_project.etags import etag_of"),
    ],
)
def test_an_import_along_the_direction_is_allowed(name: str, source: str) -> None:
    assert forbidden_imports(Module(name, source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils import timezone",
        "import os",
        "from targets.models import Target",
        "moment = datetime.now(UTC)",
        "moment = datetime.datetime.now(tz)",
        "moment = time.time()",
        "day = date.today()",
    ],
)
def test_an_impurity_is_found(source: str) -> None:
    assert impurities(Module("runs.retry", source))


def test_an_import_inside_a_function_is_found() -> None:
    assert local_imports(Module("runs.retry", "def late():\n    from runs import claim\n")) == [2]


@pytest.mark.parametrize("source", ["import socket", "from http.client import HTTPConnection", "import urllib.request"])
def test_a_module_that_can_open_connections_is_found(source: str) -> None:
    assert network_imports(Module("runs.retry", source))


def test_a_function_longer_than_a_screen_is_found() -> None:
    body = "    pass\n" * LONGEST_FUNCTION
    assert long_functions(Module("runs.retry", f"def endless():\n{body}")) == ["endless (40 lines)"]
