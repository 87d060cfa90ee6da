"""Uploads to a fake Hub: private by default, one commit, only files of a model; and inherited licences."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from oneshot.errors import MachineError, UsageError
from oneshot.export import hub
from oneshot.export.licence import licence_of
from tests.unit.export.hub_fake import FakeHub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "README.md",
        "model.safetensors",
        "tokenizer.json",
        "optimizer.pt",
        "metrics.jsonl",
        "samples.jsonl.gz",
    ):
        (tmp_path / name).write_text(name)
    return tmp_path


def upload(client: FakeHub, folder: Path, *, public: bool = False, revision: str = "") -> tuple[str, list[str]]:
    said: list[str] = []
    told = hub.upload(client, "me/it", folder, public=public, revision=revision, message="m", say=said.append)
    return told, said


def test_a_new_repository_is_private_and_gets_a_model_only(folder: Path) -> None:
    client = FakeHub()
    assert upload(client, folder) == ("https://hub.example/me/it/commit/1", [])
    assert client.private == {"me/it": True}
    assert set(client.uploaded["me/it"]) == {"README.md", "model.safetensors", "tokenizer.json"}
    assert client.commits == [{"repo_type": "model", "revision": None, "commit_message": "m"}]
    assert client.branches == []


def test_public_and_a_branch_when_asked_for(folder: Path) -> None:
    client = FakeHub()
    upload(client, folder, public=True, revision="v2")
    assert client.private == {"me/it": False}
    assert client.branches == [("me/it", "v2")]
    assert client.commits[0]["revision"] == "v2"


def test_a_public_repository_needs_the_word(folder: Path) -> None:
    client = FakeHub(public=("me/it",))
    with pytest.raises(UsageError, match="there already and public") as refused:
        upload(client, folder)
    assert refused.value.code == "E105"
    assert client.uploaded == {}
    assert upload(client, folder, public=True)[1] == []
    private = FakeHub()
    upload(private, folder)
    assert "stays so" in upload(private, folder, public=True)[1][0]


@pytest.mark.parametrize("error", [OSError("403 Forbidden\nmore"), ValueError("bad"), OfflineModeIsEnabled("no net")])
def test_a_refusal_is_said_in_one_line(folder: Path, error: Exception) -> None:
    with pytest.raises(MachineError, match="the Hub did not take me/it") as refused:
        upload(FakeHub(fails=error), folder)
    assert refused.value.code == "E203"
    assert str(error).splitlines()[0] in refused.value.message
    assert refused.value.kept == "Nothing was uploaded."


def test_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(MachineError, match="none is set on this machine") as refused:
        hub.connect()
    assert refused.value.exit_code == 3
    assert refused.value.tries[0] == "hf auth login"
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "a token")
    assert isinstance(hub.connect(), huggingface_hub.HfApi)


@pytest.mark.parametrize("name", ["it", "me/", "/it", "a/b/c", "me/it.git", "me/..", "me/i t", "me/a--b", "-/x", ""])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="is no repository of the Hub"):
        hub.check_name(name)
    hub.check_name("me/qwen2.5-math_1shot")


def test_the_licence_is_the_bases(tmp_path: Path) -> None:
    assert licence_of("smollm2-135m").keys == {"license": "apache-2.0"}
    client = FakeHub(licences={"a/b": "mit"})
    assert licence_of("a/b", client).keys == {"license": "mit"}
    for unknown in (licence_of("a/b"), licence_of("a/c", client), licence_of(str(tmp_path))):
        assert unknown.keys == {"license": "other", "license_name": "unknown"}
        assert "not known" in unknown.note
    card = "---\nlicense: other\nlicense_name: qwen-research\nlicense_link: LICENSE\ntags: [x]\n---\n# Model\n"
    (tmp_path / "README.md").write_text(card)
    own = {"license": "other", "license_name": "qwen-research", "license_link": "LICENSE"}
    assert licence_of(str(tmp_path)).keys == own
    for broken in ("no front matter", "---\n: [\n---\n", "---\n- a\n---\n", "---\ntags: [x]\n---\n"):
        (tmp_path / "README.md").write_text(broken)
        assert licence_of(str(tmp_path)).keys["license"] == "other"
