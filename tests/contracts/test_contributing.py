"""The worked example of CONTRIBUTING.md runs as it stands there, and does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# A process of its own: registering an algorithm in this one would show up in other tests.
REFUSED = """
from oneshot.errors import UsageError
try:
    ALGORITHMS.build("correct_only", {"clipp": 0.1})
except UsageError as error:
    print(error.render())
"""


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "CONTRIBUTING.md").read_text("utf-8")


def run(root: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)


def test_the_worked_example_runs(page: str, root: Path) -> None:
    algorithm, check = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = run(root, algorithm + check + REFUSED)
    assert done.returncode == 0, done.stderr
    assert "Did you mean 'clip'?" in done.stdout
    # The page's numbers are tested, not only run: with another weighting they are wrong.
    other = run(root, algorithm.replace("sequence_mean", "token_mean") + check)
    assert "AssertionError" in other.stderr


def test_the_table_of_words_is_the_makefiles(page: str, root: Path) -> None:
    makefile = (root / "Makefile").read_text("utf-8")
    words = next(line for line in makefile.splitlines() if line.startswith(".PHONY: install")).split()[1:]
    assert len(words) == 8
    assert re.findall(r"^\| `make (\w+)` \|", page, re.MULTILINE) == words
    assert set(words) <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
