"""`oneshot completion`: the scripts are valid, know every verb and flag, and expand nobody's names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from oneshot.algos import zoo  # noqa: F401  (registers)
from oneshot.algos.algorithm import ALGORITHMS
from oneshot.cli import completion
from oneshot.cli.completion import script
from oneshot.cli.main import main
from oneshot.cli.verbs import VERBS
from oneshot.data.tasks.suites import known
from oneshot.export.trackers import TRACKERS
from oneshot.rewards.functions import VERIFIERS
from oneshot.stages import export, push
from oneshot.stages.evals.flags import ALL, BEST, LAST
from oneshot.train.curriculum import CURRICULA

SHELLS = ("bash", "zsh", "fish")


def completed(folder: Path, *words: str) -> list[str]:
    """What bash would offer for the last of these words."""
    load = folder / "completion.bash"
    load.write_text(script("bash"), encoding="utf-8")
    code = (
        'source completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _oneshot; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code, "bash", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_has_every_verb_and_its_shell_can_read_it(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    for line in completion.lines():
        assert re.search(rf"(?<![\w-]){line.verb}(?![\w-])", text)
        for option in line.options:
            assert option.name in text or f"-l {option.name[2:]}" in text
    (tmp_path / "script").write_text(text, encoding="utf-8")
    if shutil.which(shell):  # bash is everywhere the tests run; the others where somebody uses them
        done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert shell != "bash" or shutil.which("bash")


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == script(shell) + "\n"
    assert main(["completion", shell, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"schema": "oneshot.completion/1", "shell": shell, "text": script(shell)}


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "E102 unknown shell 'tcsh'. Known: bash, zsh, fish." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("tr",), ["train"]),
        (("ex",), ["export"]),
        (("train", "--contr"), ["--control"]),
        (("train", "--steps", "4", "--rollout.group"), ["--rollout.groups", "--rollout.group-size"]),
        (("eval", "--contr"), []),
        (("train", "--control", "sh"), ["shuffled"]),
        (("train", "--control", "=", "sh"), ["shuffled"]),
        (("train", "--optim.schedule", "="), ["constant", "linear", "cosine"]),
        (("train", "--optim.packing", ""), ["true", "false"]),
        (("train", "--optim.lr", ""), []),
        (("eval", "latest", "--tasks", "aime"), ["aime24", "aime25"]),
        (("eval", "latest", "--checkpoints", ""), ["last", "best", "all"]),
        (("export", "latest", "--to", "g"), ["gguf"]),
        (("recipes", ""), ["list", "show", "copy"]),
        (("recipes", "show", "de"), ["demo"]),
        (("completion", "f"), ["fish"]),
        (("fetch", "--json", "math5"), ["math500"]),
        (("fly", ""), []),
    ],
)
def test_bash_completes(words: tuple[str, ...], offered: list[str], tmp_path: Path) -> None:
    assert completed(tmp_path, "oneshot", *words) == offered


def test_bash_offers_recipes_and_files_after_config(tmp_path: Path) -> None:
    (tmp_path / "denoise.toml").write_text("", encoding="utf-8")
    for flag in ("-c", "--config"):
        assert completed(tmp_path, "oneshot", "train", flag, "de") == ["demo", "denoise.toml"]


def test_bash_offers_runs_and_never_runs_a_name(tmp_path: Path) -> None:
    for name in ("0101-0000-a-12ab", "$(touch ran)", "`touch ran`", "a b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    offered = completed(tmp_path, "oneshot", "report", "")
    assert offered == ["latest", "runs", "0101-0000-a-12ab"]
    assert completed(tmp_path, "oneshot", "report", "runs/") == ["runs/0101-0000-a-12ab"]
    assert not list(tmp_path.rglob("ran"))


def test_names_are_those_of_the_registries_which_are_not_imported() -> None:
    assert sorted(completion.GRADERS) == VERIFIERS.names()
    assert sorted(completion.ALGORITHMS) == ALGORITHMS.names()
    assert sorted(completion.CURRICULA) == CURRICULA.names()
    assert sorted(completion.TASKS) == known()
    assert sorted(completion.TRACKERS) == sorted(TRACKERS)
    assert tuple(export.KINDS) == completion.EXPORTS
    slots = {(line.verb, o.name): o.slot for line in completion.lines() for o in line.options}
    checkpoints, pushed = slots["eval", "--checkpoints"], slots["push", "--to"]
    assert checkpoints is not None
    assert pushed is not None
    assert checkpoints.words == (LAST, BEST, ALL)
    assert pushed.words == push.KINDS


def test_every_word_is_plain_for_every_shell() -> None:
    """The scripts put them between quotes; none may end them or be expanded."""
    for line in completion.lines():
        for slot in (line.first, line.rest, *(option.slot for option in line.options)):
            assert all(re.fullmatch(r"[\w./+-]+", word) for word in (slot.words if slot else ()))
        assert all(re.fullmatch(r"--[\w.-]+", option.name) for option in line.options)
    assert [line.verb for line in completion.lines()] == list(VERBS)


def test_a_quote_in_a_help_text_ends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = completion.Line(
        verb="demo",
        help="it's \\ $(x) `y`",
        options=(completion.Option(name="--a", help="b'c", slot=None),),
        first=completion.Slot("files"),
        rest=completion.Slot("files"),
    )
    made = [line, *completion.lines()[1:]]
    assert "'it\\'s \\\\ $(x) `y`'" in completion.SHELLS["fish"](made)
    assert "'demo:it'\\''s \\ $(x) `y`'" in completion.SHELLS["zsh"](made)
    assert "`y`" not in completion.SHELLS["bash"](made)
