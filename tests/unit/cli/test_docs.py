"""tools/docs.py: the pages follow the code, and a stale command in the README is found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from oneshot.config.names import KEYS
from oneshot.errors import CODES


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", Path(__file__).parents[3] / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_name_every_key_code_and_verb(docs: ModuleType) -> None:
    config, errors, cli = docs.config_page(), docs.errors_page(), docs.cli_page()
    assert all(f"| `{key.rpartition('.')[2]}` |" in config for key in KEYS)
    assert "| `lr` | float | `5e-06` | Learning rate after warm-up. |" in config
    assert all(f"| {code} |" in errors for code in CODES)
    assert "| E202 | `MachineError` | 3 | not enough disk space |" in errors
    assert "## oneshot eval [MODEL|RUN]" in cli.replace("\\|", "|")
    assert "## oneshot compare A [B ...]" in cli
    assert "| 6 | `--fail-under` was not reached. |" in cli


def test_commands_come_from_code_blocks_only(docs: ModuleType) -> None:
    text = "oneshot lies here\n```sh\n$ oneshot demo \\\n    --steps 1   # quick\nmake demo\n```\noneshot no\n"
    assert list(docs.commands(text)) == [(3, "oneshot demo --steps 1   # quick")]


def test_stale_commands(docs: ModuleType) -> None:
    good = "```\noneshot --help\noneshot train --example 'What is 2+2?' --answer 4\noneshot report latest\n```\n"
    assert docs.stale_commands(good) == []
    (verb,) = docs.stale_commands("```\noneshot fly\n```\n")
    assert "line 2: oneshot fly" in verb
    (flag,) = docs.stale_commands("```\noneshot demo --stepz 3\n```\n")
    assert "Did you mean '--steps'?" in flag


def test_check_fails_on_a_stale_page(
    docs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.main(["--check"]) == 1
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    (tmp_path / "docs" / "cli.md").write_text("old", encoding="utf-8")
    (tmp_path / "README.md").write_text("```\noneshot fly\n```\n", encoding="utf-8")
    capsys.readouterr()
    assert docs.main(["--check"]) == 1
    err = capsys.readouterr().err
    assert "docs/cli.md is stale" in err
    assert "README.md line 2" in err
