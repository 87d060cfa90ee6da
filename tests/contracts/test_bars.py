"""Bars on the source that no linter here holds: lengths, no `global`, no environment, no broad `except`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MAX_FILE, MAX_FUNCTION = 250, 60
FOLDERS = ("oneshot", "tests", "tools", "benchmarks")
BROAD = {"Exception", "BaseException"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
Finding = tuple[int, str]


def name(node: ast.expr | None) -> str:
    """`a.b.c` of a dotted name, else an empty string."""
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def long_file(source: str) -> Iterator[Finding]:
    lines = source.count("\n") + 1 - source.endswith("\n")
    if lines > MAX_FILE:
        yield lines, f"file of {lines} lines, at most {MAX_FILE}"


def long_functions(source: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield node.lineno, f"{node.name} has {lines} lines, at most {MAX_FUNCTION}"


def globals_(source: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"


def environment(source: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and name(node.value) == "os" and node.attr in ENVIRONMENT:
            yield node.lineno, f"os.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            for alias in node.names:
                if alias.name in ENVIRONMENT or alias.name == "*":
                    yield node.lineno, f"from os import {alias.name}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "os" and alias.asname not in (None, "os"):
                    yield node.lineno, f"import os as {alias.asname} (hides what it reads)"


def broad_excepts(source: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if node.type is None or any(name(kind) in BROAD for kind in kinds):
                yield node.lineno, f"except {ast.unparse(node.type) if node.type else '(everything)'}"
        call = isinstance(node, ast.Call) and name(node.func).split(".")[-1] == "suppress"
        if call and any(name(argument) in BROAD for argument in node.args):
            yield node.lineno, ast.unparse(node)


Rule = Callable[[str], Iterator[Finding]]
RULES: dict[Rule, tuple[tuple[str, ...], tuple[str, ...]]] = {  # rule -> folders it holds in, paths it spares
    long_file: (FOLDERS, ()),
    long_functions: (FOLDERS, ()),
    globals_: (FOLDERS, ()),
    environment: (("oneshot",), ("oneshot/config/",)),
    broad_excepts: (("oneshot", "tools", "benchmarks"), ("oneshot/cli/main.py", "oneshot/rewards/workers/nursery.py")),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.strip("_"))
def test_the_source_stays_under_the_bar(rule: Rule, root: Path) -> None:
    folders, spared = RULES[rule]
    files = [file for folder in folders for file in sorted((root / folder).rglob("*.py"))]
    assert files
    found = [
        f"{path}:{line}: {what}"
        for file in files
        if not (path := file.relative_to(root).as_posix()).startswith(spared or ("\0",))
        for line, what in rule(file.read_text("utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


def function_of(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


REFUSED = {
    "x = 1\n" * 251: long_file,
    "\n" * 250 + "x = 1": long_file,
    function_of(61): long_functions,
    "class C:\n    async " + function_of(61).replace("\n", "\n    ").rstrip(" "): long_functions,
    "def f():\n    global x\n    x = 1\n": globals_,
    "import os\nx = os.environ['HOME']\n": environment,
    "import os\ndef f():\n    return os.getenv('HOME')\n": environment,
    "from os import environ\n": environment,
    "import os as system\n": environment,
    "try:\n    f()\nexcept:\n    pass\n": broad_excepts,
    "try:\n    f()\nexcept Exception as e:\n    raise\n": broad_excepts,
    "try:\n    f()\nexcept (OSError, BaseException):\n    pass\n": broad_excepts,
    "import contextlib\nwith contextlib.suppress(Exception):\n    f()\n": broad_excepts,
}
ALLOWED = {
    "x = 1\n" * 250: long_file,
    function_of(60): long_functions,
    "def f():\n    x = 0\n    def g():\n        nonlocal x\n": globals_,
    "import os\nx = os.cpu_count()\nenviron = 1\n": environment,
    "try:\n    f()\nexcept (OSError, ValueError):\n    pass\n": broad_excepts,
}


@pytest.mark.parametrize("source", REFUSED)
def test_each_rule_finds_what_it_forbids(source: str) -> None:
    assert len(list(REFUSED[source](source))) == 1


@pytest.mark.parametrize("source", ALLOWED)
def test_each_rule_lets_its_limit_pass(source: str) -> None:
    assert list(ALLOWED[source](source)) == []
