"""Which checkpoint an export is: said before it is made, and written into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot._store import folders
from oneshot.config.load import to_dict
from oneshot.config.schema import Config, EvalsConfig, RewardConfig
from oneshot.record import RunFolder
from oneshot.stages.export import chosen
from oneshot.stages.exporting.trained import find
from oneshot.stages.exporting.write import PROVENANCE, Export, _sign
from tests.unit.stages.comparing import put


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Checkpoints 4, 8 and 12, of which 4 is best on dev and 8 was best and not kept."""
    config = Config(evals=EvalsConfig(source="builtin", every=4), reward=RewardConfig(control="shuffled"))
    made = RunFolder.create(tmp_path, "pi1", to_dict(config), ())
    for step, words in ((4, "1110"), (8, "1111"), (12, "1000")):
        put(made, "builtin-dev", f"checkpoint-{step}", words)
        if step != 8:
            made.checkpoint_dir(step).mkdir(parents=True)
            folders.seal(made.checkpoint_dir(step))
    return made


@pytest.mark.parametrize(
    ("word", "checkpoint", "which"),
    [
        (":best", "checkpoint-4", "checkpoint-4, best on dev"),
        (":last", "checkpoint-12", "checkpoint-12, the last one"),
        ("", "checkpoint-12", "checkpoint-12, the last one"),
        (":checkpoint-4", "checkpoint-4", "checkpoint-4"),
        (":base", "base", "base, before training"),
    ],
)
def test_the_checkpoint_is_named(run: RunFolder, word: str, checkpoint: str, which: str) -> None:
    found = find(f"{run.path}{word}", run.path.parent)
    assert (found.checkpoint, found.asked, found.which) == (checkpoint, word.removeprefix(":"), which)
    first, *more = chosen(found)
    assert first == f"exporting {which}, of {run.path}"
    assert [note.startswith("note: checkpoint-8 was better on builtin-dev") for note in more] == [True] * (
        word == ":best"
    )


@pytest.mark.parametrize(("word", "label"), [(":best", "control arm: shuffled rewards"), (":base", "")])
def test_it_is_written_into_the_export(run: RunFolder, tmp_path: Path, word: str, label: str) -> None:
    trained = find(f"{run.path}{word}", run.path.parent)
    given: dict[str, Any] = {"places": {}, "dtype": "float32", "offline": True, "converter": None, "gguf_type": ""}
    _sign(Export(trained=trained, say=print, **given), "hf", tmp_path)
    told = json.loads((tmp_path / PROVENANCE).read_text("utf-8"))
    assert (told["checkpoint"], told["asked"], told["label"]) == (trained.checkpoint, word[1:], label)
    assert (told["run"], told["to"], told["schema"]) == (run.path.name, "hf", "oneshot.exported/1")
    assert str(tmp_path) not in json.dumps(told)  # it is given to others
