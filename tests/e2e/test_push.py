"""`oneshot push` of runs of a tiny model to a Hub that is a dictionary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from oneshot.export import hub
from oneshot.record import RunFolder
from oneshot.stages import push
from oneshot.stages.exporting import push_card
from tests.e2e.conftest import OneShot, write_pool
from tests.unit.export.hub_fake import FakeHub

LORA = ("--model.lora-rank", "4", "--optim.lr", "5e-3")
SHORT = ("--steps", "2", "--allow-unsolved", "--yes")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    client = FakeHub()
    monkeypatch.setattr(hub, "connect", lambda: client)
    return client


@pytest.fixture
def run(train: OneShot, tmp_path: Path) -> RunFolder:
    rows = [{"prompt": f"secret question {i} + 1?", "answer": str(i + 1)} for i in range(8)]
    held = write_pool(tmp_path / "held.jsonl", rows)
    return train(*SHORT, "--evals.source", held).run


def test_a_model_and_its_card_and_nothing_else(run: RunFolder, oneshot: OneShot, online: FakeHub, tiny: Path) -> None:
    told = oneshot("push", run.path, "me/tiny-1shot")
    assert told.code == 0, told.err
    assert told.out == "https://hub.example/me/tiny-1shot/commit/1\n"
    files = online.uploaded["me/tiny-1shot"]
    assert set(files) == {
        "README.md", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    text = files["README.md"].decode()
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "```\nWhat is 2 + 3?\n```" in text
    assert "| held | 8 |" in text
    everything = b"".join(files.values())
    assert b"secret question" not in everything
    assert [line for line in text.splitlines() if str(tiny.parent) in line] == []  # no path of this machine
    assert str(tiny.parent).encode() not in everything
    assert f"--model {tiny.name}" in text
    assert "--evals.source held.jsonl" in text
    assert online.private == {"me/tiny-1shot": True}
    assert [e["repo"] for e in run.events() if e["kind"] == "push"] == ["me/tiny-1shot"]
    assert not list(run.path.glob(".push-*"))


def test_a_dry_run_shows_it_and_uploads_nothing(run: RunFolder, oneshot: OneShot, online: FakeHub) -> None:
    told = oneshot("push", run.path, "me/it", "--dry-run")
    assert told.code == 0, told.err
    assert told.out.startswith("---\n")
    assert "model.safetensors" in told.out
    assert told.out.endswith("nothing was uploaded; without --dry-run these go to me/it, private\n")
    asked = oneshot("push", run.path, "me/it", "--dry-run", "--public", "--json", "--offline").json
    assert (asked["schema"], asked["public"], asked["url"]) == ("oneshot.push/1", True, None)
    assert asked["card"].startswith("---\n")
    assert asked["files"]["model.safetensors"] > 0
    assert online.uploaded == {}
    assert not list(run.path.glob(".push-*"))


def test_an_adapter_of_a_local_base_goes_merged(train: OneShot, oneshot: OneShot, online: FakeHub) -> None:
    run = train(*SHORT, *LORA).run
    refused = oneshot("push", run.path, "me/it", "--to", "adapter")
    assert refused.code == 2
    assert "which is on this machine only" in refused.err
    assert oneshot("push", run.path, "me/it").code == 0
    assert "model.safetensors" in online.uploaded["me/it"]
    assert "adapter_config.json" not in online.uploaded["me/it"]
    named = json.loads((run.checkpoint_dir(2) / "adapter_config.json").read_text())
    (run.checkpoint_dir(2) / "adapter_config.json").write_text(json.dumps({**named, "base_model_name_or_path": "a/b"}))
    from oneshot._store import folders

    (run.checkpoint_dir(2) / folders.CHECKSUMS).unlink()
    folders.seal(run.checkpoint_dir(2))
    told = oneshot("push", run.path, "me/adapter", "--revision", "v1")
    assert told.code == 0, told.err
    assert set(online.uploaded["me/adapter"]) >= {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert b"library_name: peft" in online.uploaded["me/adapter"]["README.md"]
    assert online.branches == [("me/adapter", "v1")]


def test_what_is_refused(run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(*words: str | Path) -> tuple[int, str]:
        told = oneshot("push", *words)
        return told.code, told.err.splitlines()[0]

    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert said(run.path, "it")[1].startswith("E103 'it' is no repository of the Hub")
    code, text = said(run.path, "me/it")
    assert (code, text.split()[0]) == (3, "E203")
    assert "token" in text
    assert said(run.path, "me/it", "--offline")[0] == 3
    assert said(run.path, "me/it", "--to", "adaptor")[1].startswith("E102 unknown --to 'adaptor'. Did you mean")
    assert said(run.path, "me/it", "--to", "adapter")[1].startswith("E105 checkpoint-2 of")
    assert said(f"{run.path}:checkpoint-9", "me/it")[1].startswith("E102")
    assert not list(run.path.glob(".push-*"))


def test_a_failing_hub_leaves_nothing(run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "connect", lambda: FakeHub(fails=OSError("403 Forbidden")))
    told = oneshot("push", run.path, "me/it")
    assert told.code == 3
    assert "E203 the Hub did not take me/it: 403 Forbidden" in told.err
    assert not list(run.path.glob(".push-*"))


def test_a_draft_for_the_run_folder(run: RunFolder) -> None:
    text = push.draft(run.path, run.path.parent)
    assert 'from_pretrained("USER/NAME")' in text


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (
            ["train", "--data", "/home/me/x.jsonl", "--reward", "/a/b.py:f"],
            "oneshot train --data x.jsonl --reward b.py:f",
        ),
        (["/usr/bin/oneshot", "train", "--model=/m/it"], "oneshot train --model=it"),
        (["demo"], "oneshot demo"),
        ([], ""),
    ],
)
def test_a_command_tells_no_path(argv: list[str], told: str) -> None:
    assert push_card.command({"argv": argv}) == told


def test_a_sentence_tells_no_path() -> None:
    said = "see https://a.b/c/d, 3/4 and '/home/me/x y.jsonl' or ~/runs/1; --data /tmp/held.jsonl"
    assert push_card.without_paths(said) == "see https://a.b/c/d, 3/4 and 'x y.jsonl' or 1; --data held.jsonl"
