"""`oneshot fetch`: what it puts where, what it says, and that `--offline` then finds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub.errors import DryRunError

from oneshot.cli.main import main
from oneshot.errors import MachineError
from oneshot.model import embedded, policy
from oneshot.stages.fetching import models as fetch_models
from tests.tiny import save_tiny
from tests.unit.stages.hub_stand_in import COMMIT, PROBLEMS, Models, Rows, alone, fetched, models, rows


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path) -> Models:
    source = shutil.copytree(tiny, tmp_path / "source")
    for name in ("README.md", "model.fp16.safetensors", "training_args.bin", "pytorch_model.bin", "modeling_x.py"):
        (source / name).write_text("not opened by the loader")
    (source / "onnx").mkdir()
    (source / "onnx" / "model.safetensors").write_text("nor this")
    return models(monkeypatch, tmp_path / "hub", a__tiny=source)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    return rows(monkeypatch, tmp_path / "datasets", **{"HuggingFaceH4/MATH-500": PROBLEMS})


def test_of_a_hub_model_only_what_the_loader_opens(hub: Models, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = fetched(capsys, "a/tiny")
    assert (made["kind"], made["state"], made["error"]) == ("model", "fetched", None)
    folder = Path(made["where"])
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja",
    }  # fmt: skip
    assert made["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert made["notes"] == [f"6 files, commit {COMMIT[:12]}"]
    (again,) = fetched(capsys, "a/tiny")
    assert again["state"] == "there"
    (folder / "tokenizer.json").unlink()
    (mended,) = fetched(capsys, "a/tiny")
    assert (mended["state"], mended["notes"][1]) == ("fetched", "5 of them were there already")


def test_offline_finds_what_was_fetched(hub: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MachineError) as caught:
        policy.load("a/tiny", home=tmp_path, offline=True)
    assert caught.value.code == "E203"
    fetched(capsys, "a/tiny")
    assert policy.load("a/tiny", home=tmp_path, offline=True).name == "a/tiny"


def test_a_revision(hub: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = fetched(capsys, "a/tiny", "--model.revision", "v2")
    assert [asked["revision"] for asked in hub.asked] == ["v2", "v2"]
    assert "found under --offline with --model.revision v2 only" in made["notes"]
    policy.load("a/tiny", home=tmp_path, offline=True, revision="v2")
    with pytest.raises(MachineError):
        policy.load("a/tiny", home=tmp_path, offline=True)


def test_pickles_where_there_are_no_safetensors(hub: Models, capsys: pytest.CaptureFixture[str]) -> None:
    (hub.repositories["a/tiny"] / "model.safetensors").unlink()
    (made,) = fetched(capsys, "a/tiny")
    assert any("pickles" in note for note in made["notes"])
    assert (Path(made["where"]) / "pytorch_model.bin").is_file()
    assert not (Path(made["where"]) / "training_args.bin").exists()


@pytest.mark.parametrize(
    ("gone", "added", "said"),
    [
        (["config.json"], [], "it has no config.json"),
        (["model.safetensors", "pytorch_model.bin"], [], "it has no weights"),
        (["config.json", "model.safetensors"], ["adapter_config.json"], "is an adapter on the Hub"),
    ],
)
def test_what_is_no_model(
    gone: list[str], added: list[str], said: str, hub: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    source = hub.repositories["a/tiny"]
    for name in gone:
        (source / name).unlink()
    for name in added:
        (source / name).write_text("{}")
    (made,) = fetched(capsys, "a/tiny", status=3)
    assert (made["state"], made["error"]["code"]) == ("failed", "E304")
    assert said in made["error"]["message"]
    assert not hub.cache.exists()


def test_a_disk_that_is_too_small(
    hub: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch_models, "SPARE", 1 << 60)
    (made,) = fetched(capsys, "a/tiny", status=3)
    assert made["error"]["code"] == "E202"
    assert not hub.cache.exists()


def test_the_embedded_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ensure(home: Path, *, offline: bool) -> Path:
        assert not offline
        embedded.folder(home).mkdir(parents=True, exist_ok=True)
        (embedded.folder(home) / "config.json").write_text("{}")
        return embedded.folder(home)

    monkeypatch.setattr(embedded, "ensure", ensure)
    (made,) = fetched(capsys, embedded.NAME)
    assert (made["state"], made["bytes"], made["where"]) == ("fetched", 2, str(embedded.folder(tmp_path / "home")))
    assert [made["state"] for made in fetched(capsys, embedded.NAME)] == ["there"]


def test_folders(hub: Models, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [made["state"] for made in fetched(capsys, str(tiny))] == ["nothing"]
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "a/tiny", "revision": "v3"}))
    own, base = fetched(capsys, "./adapter")
    assert (own["state"], base["name"], base["state"]) == ("nothing", "a/tiny", "fetched")
    assert hub.asked[-1]["revision"] == "v3"
    (adapter / "adapter_config.json").write_text("[]")
    assert fetched(capsys, "./adapter", status=3)[-1]["error"]["code"] == "E304"
    assert fetched(capsys, "./nowhere", status=3)[0]["error"]["code"] == "E304"


def test_a_recipe_says_what_it_needs(
    hub: Models, data: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(
        '[model]\nname = "a/tiny"\n[data]\nsource = "o/pool"\n[evals]\ntasks = "math500"\n'
    )
    data.sets["o/pool"] = PROBLEMS
    made = fetched(capsys, "-c", "r.toml")
    assert [(each["name"], each["kind"], each["state"]) for each in made] == [
        ("o/pool", "data", "fetched"), ("a/tiny", "model", "fetched"), ("math500", "task", "fetched"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["a/tiny", "--offline"], 3, "E203 oneshot fetch needs the network"),
        ([], 2, "E103 oneshot fetch needs MODEL, TASK or SUITE"),
        (["math50"], 2, "Did you mean 'math500'?"),
        (["math500", "nothing-known"], 2, "E102 'nothing-known' is no task"),
        (["arc_easy:letters"], 2, "E102 "),
        (["a/b", "c/d", "--model.revision", "main"], 2, "E105 "),
    ],
)
def test_what_is_refused_before_anything_is_fetched(
    words: list[str], status: int, said: str, hub: Models, data: Rows, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("oneshot.cli.main.go_offline", lambda: None)  # it would change this process's environment
    assert main(["fetch", *words]) == status
    assert said in capsys.readouterr().err
    assert (hub.asked, data.asked) == ([], [])


@pytest.mark.parametrize("error", [ConnectionError("no route to host"), OSError("disk"), ValueError("bad name")])
def test_a_hub_that_does_not_answer(error: Exception, hub: Models, capsys: pytest.CaptureFixture[str]) -> None:
    for raised in (error, _behind(error)):
        hub.fails = raised
        (made,) = fetched(capsys, "a/tiny", status=3)
        assert made["error"]["code"] == "E203"
        assert made["error"]["message"] == f"the Hub did not give a/tiny: {error}"


def _behind(error: Exception) -> Exception:
    """What a dry run raises: an error of its own from the one that says something."""
    found = DryRunError("a dry run cannot be performed")
    found.__cause__ = error
    return found


def test_a_model_that_is_not_there(hub: Models, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = fetched(capsys, "a/other", status=3)
    assert made["error"]["message"] == "the Hub did not give a/other: 404 for a/other"
