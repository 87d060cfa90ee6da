"""The sentences of the built-in task: enough of them, all different, each naming every operand once."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from oneshot.data.tasks.builtin import KINDS
from oneshot.data.tasks.wordings import LABELS, NAMES, PLACES, SHARED, THINGS, WORDINGS

OPERANDS = {kind: "abc" if kind == "two_step" else "ab" for kind in WORDINGS}


def slots(wording: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(wording) if name]


def test_at_least_eight_kinds_in_six_wordings_two_of_them_for_test_alone() -> None:
    assert set(WORDINGS) == set(KINDS) == set(LABELS)
    assert len(WORDINGS) >= 8
    for kind, wordings in WORDINGS.items():
        assert len(wordings) >= 6, kind
        assert len(wordings) - SHARED == 2, kind
        assert len(set(wordings)) == len(wordings), kind


@pytest.mark.parametrize("kind", WORDINGS)
def test_a_wording_names_every_operand_once_and_nothing_unknown(kind: str) -> None:
    for wording in WORDINGS[kind]:
        used = slots(wording)
        assert sorted(slot for slot in used if len(slot) == 1) == list(OPERANDS[kind]), wording
        assert set(used) <= {*OPERANDS[kind], "name", "other", "thing", "place"}, wording


@pytest.mark.parametrize("kind", WORDINGS)
def test_nothing_but_the_operands_is_a_number_and_it_ends_as_a_task(kind: str) -> None:
    for wording in WORDINGS[kind]:
        assert not re.search(r"\d", wording), wording
        assert wording[-1] in "?.", wording
        assert wording == wording.strip(), wording


def test_no_drawn_word_holds_a_number_or_stands_twice() -> None:
    for words in (NAMES, THINGS, PLACES):
        assert len(set(words)) == len(words)
        assert all(word.isalpha() for word in words)
    assert len(NAMES) >= 2  # a problem names two people
