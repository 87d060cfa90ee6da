"""What a fresh process loads: reading a configuration or a report costs no torch, `--help` no tyro either."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest

NO_TORCH = [
    "oneshot.cli",
    "oneshot.cli.main",
    "oneshot.cli.help",
    "oneshot.config",
    "oneshot.config.load",
    "oneshot.config.origins",
    "oneshot.config.request",
    "oneshot.record",
    "oneshot.history",
    "oneshot.rewards",
    "oneshot.measure",
    "oneshot.report",
    "oneshot.stages.fetch",
    "oneshot.stages.grade",
    "oneshot.stages.ls",
    "oneshot.stages.regrade",
    "oneshot.data.problems",
    "oneshot.data.readers",
    "oneshot.data.tasks",
    "oneshot.types",
    "oneshot.errors",
    "oneshot.registry",
]


def loaded(code: str) -> set[str]:
    """Top-level names in `sys.modules` after `code` ran in a fresh process; its stdout is discarded."""
    script = (
        "import contextlib, io, json, sys\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n    exec({code!r})\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", NO_TORCH)
def test_importing_loads_no_torch(module: str) -> None:
    # A package is imported with all its modules: an empty __init__ proves nothing.
    code = (
        f"import importlib, pkgutil\nm = importlib.import_module({module!r})\n"
        "for found in pkgutil.walk_packages(getattr(m, '__path__', []), m.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    assert not loaded(code) & {"torch", "transformers", "tokenizers"}


@pytest.mark.parametrize(
    "argv",
    [["--help"], ["recipes", "list"], ["recipes", "list", "--json"], ["recipes", "--help"], ["completion", "bash"]],
)
def test_these_commands_load_only_the_standard_library(argv: list[str]) -> None:
    seen = loaded(f"from oneshot.cli.main import main\nassert main({argv!r}) == 0")
    installed = set(metadata.packages_distributions()) - {"oneshot"}
    assert {"torch", "tyro", "rich", "yaml", "numpy", "transformers"} <= installed
    before = loaded("pass")  # an editable install or a site hook may load a few
    assert not seen & installed - before


def test_reading_a_toml_recipe_loads_no_yaml_and_no_tyro() -> None:
    code = "from oneshot.config.load import find_recipe, load\nload([find_recipe('demo')], {}, {})"
    assert not loaded(code) & {"yaml", "tyro", "torch", "numpy"}
