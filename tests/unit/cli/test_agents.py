"""`llms.txt` and the skill: every verb, flag, link, schema and file that they name is there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import oneshot
from oneshot.errors import CODES, OneshotError
from oneshot.measure.claims import CLAIMS
from oneshot.record import STATES
from tests.unit.cli.test_docs import docs  # noqa: F401  (a fixture)

ROOT = Path(oneshot.__file__).parents[1]
SKILL, INDEX = "skills/oneshot/SKILL.md", "llms.txt"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [SKILL, INDEX])
def test_every_command_flag_and_link_exists(name: str, docs: ModuleType) -> None:  # noqa: F811
    assert docs.stale_commands(text(name)) == []
    assert docs.stale_words(text(name)) == []


def test_no_verb_is_missing(docs: ModuleType) -> None:  # noqa: F811
    assert docs.missing_verbs(text(INDEX)) == []


def test_the_skill_has_ten_commands(docs: ModuleType) -> None:  # noqa: F811
    found = [command for _, command in docs.commands(text(SKILL))]
    assert [re.findall(r"# +(\d+)", command) for command in found] == [[str(n)] for n in range(1, 11)]
    assert all("--json" in command for command in found)


@pytest.mark.parametrize("name", [SKILL, INDEX])
def test_every_schema_is_one_of_the_code(name: str) -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "oneshot").rglob("*.py"))
    named = set(re.findall(r"oneshot\.[a-z-]+/\d", text(name)))
    assert named
    assert {schema for schema in named if f'"{schema}"' not in source} == set()


def test_statuses_codes_states_and_claims_of_the_skill() -> None:
    skill = text(SKILL)
    statuses = {str(kind.exit_code) for kind in (OneshotError, *OneshotError.__subclasses__())} | {"0", "75", "130"}
    assert set(re.findall(r"^\| (\d+) \|", skill, re.M)) == statuses
    assert set(re.findall(r"E\d{3}", skill)) <= set(CODES)
    assert all(f"`{name}`" in skill for name in CLAIMS)
    assert ", ".join(STATES) in skill


def test_the_front_matter_names_the_folder() -> None:
    head = text(SKILL).split("---")[1]
    name = re.search(r"^name: (.+)$", head, re.M)
    said = re.search(r"^description: (.+)$", head, re.M)
    assert name is not None
    assert said is not None
    assert name[1] == Path(SKILL).parent.name
    assert 0 < len(said[1]) <= 1024


def test_what_is_stale_is_found(docs: ModuleType) -> None:  # noqa: F811
    bad = "Try `oneshot fly` or `--stepz 3`, see [this](docs/nowhere.md).\n```\n`oneshot fly`\n```\n"
    verb, flag, link = docs.stale_words(bad)
    assert verb.startswith("line 1: oneshot fly")
    assert flag == "line 1: no verb has a flag --stepz"
    assert link == "there is no docs/nowhere.md"
    assert "train" in docs.missing_verbs("`oneshot trainer`")
    assert "train" not in docs.missing_verbs("`oneshot train --json`")
