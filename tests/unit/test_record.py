from __future__ import annotations

import errno
import gzip
import json
import math
import os
import re
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oneshot._store import files
from oneshot._store.environment import git_commit, redact, redact_argv
from oneshot.errors import MachineError, UsageError
from oneshot.record import RunFolder, check_disk
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict

NASTY = "\x1b[31m</script>\u2028\ud800 $x$\r\n\N{SNOWMAN}"


def make(root: Path, slug: str = "pi1") -> RunFolder:
    return RunFolder.create(root, slug, {"seed": 0, "model": {"name": "m"}}, ["oneshot", "demo"])


def groups(reward: float = 1.0) -> list[Group]:
    problem = Problem(id="p", prompt=NASTY, answer="7", category="add", meta={"kind": "add", "operands": [2, 5]})
    verdict = Verdict(correct=True, extracted="7", method="boxed", seconds=0.25)
    full = Completion(
        tokens=(5, 6), logprobs=(-0.1, -2.0 / 3), text=NASTY, finished=True, reward=reward, verdict=verdict
    )
    bare = Completion(tokens=(), logprobs=(), text="", finished=False)
    return [
        Group(id=number, problem=problem, prompt_tokens=(1, 2, 3), completions=(full, bare), policy_version=4)
        for number in (0, 1)
    ]


def eval_row(key: str, correct: bool = True) -> EvalRow:
    return EvalRow(
        id=key,
        category="add",
        prompt=NASTY,
        answer="7",
        response=NASTY,
        extracted=None,
        correct=correct,
        status="ok",
        cut=False,
        tokens=3,
        meta={"rungs": ["own"], "boxed": False},
    )


@contextmanager
def full_disk(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forcing bytes to disk fails as it does on a full one."""

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with patch.context() as context:
        context.setattr(os, "fsync", fail)
        yield


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Making and finding


def test_name_and_first_files(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "runs", slug="../Qwen2.5 π/One!")
    assert re.fullmatch(r"\d{4}-\d{4}-qwen2\.5-one-[0-9a-f]{4}", run.path.name)
    assert run.path.parent == tmp_path / "deep" / "runs"
    assert run.config() == {"seed": 0, "model": {"name": "m"}}
    assert (run.status()["state"], run.status()["step"], run.summary()) == ("running", 0, {})
    assert {"torch", "transformers", "numpy", "tokenizers"} <= set(run.env()["packages"])
    assert run.env()["argv"] == ["oneshot", "demo"]


def test_an_empty_slug_still_names_the_run(tmp_path: Path) -> None:
    assert "-run-" in make(tmp_path, slug="???").path.name


def test_a_taken_name_is_never_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suffixes = iter(["aaaa", "aaaa", "bbbb"])
    token_hex = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(suffixes) if size == 2 else token_hex(size))
    first, second = make(tmp_path), make(tmp_path)
    assert (first.path.name[-4:], second.path.name[-4:]) == ("aaaa", "bbbb")


def test_no_free_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_hex = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: "aaaa" if size == 2 else token_hex(size))
    before = everything(make(tmp_path).path)
    with pytest.raises(UsageError, match="none is reused") as caught:
        make(tmp_path)
    assert caught.value.code == "E104"
    assert everything(next(tmp_path.iterdir())) == before


def test_a_file_where_runs_should_go(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for root in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(UsageError) as caught:
            make(root)
        assert caught.value.code == "E104"


def test_open_by_path_by_name_and_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "runs"
    older, newer = make(root, "zzz"), make(root, "aaa")
    newer.write_json("env.json", newer.env() | {"created": older.env()["created"] + 1})
    (root / "not-a-run").mkdir()
    for ref in (str(older.path), older.path.name):
        assert RunFolder.open(ref, root).path == older.path
    assert RunFolder.open("latest", root).path == newer.path
    monkeypatch.chdir(root)
    assert RunFolder.open(older.path.name, Path("elsewhere")).config() == older.config()


def test_latest_without_a_creation_time_uses_the_file(tmp_path: Path) -> None:
    first, second = make(tmp_path, "zzz"), make(tmp_path, "aaa")
    for run, when in ((first, 1000), (second, 2000)):
        (run.path / "env.json").unlink()
        os.utime(run.path / "config.json", (when, when))
    assert RunFolder.open("latest", tmp_path).path == second.path


@pytest.mark.parametrize("ref", ["latest", "nothing", "folder"])
def test_open_refuses_what_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as caught:
        RunFolder.open(ref, tmp_path / "runs")
    assert caught.value.code == "E104" and caught.value.tries


def test_open_names_the_nearest_run(tmp_path: Path) -> None:
    run = make(tmp_path)
    with pytest.raises(UsageError, match=re.escape(f"Did you mean {run.path.name!r}")):
        RunFolder.open(run.path.name[:-1], tmp_path)


# Atomic files


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    run.start_attempt()
    run.step(0, {"reward": 1.0}, groups())
    run.write_eval("dev", "base", {"value": 1}, [eval_row("a")])
    before = everything(run.path)
    attempts = (
        lambda: run.write_status(state="done"),
        lambda: run.write_json("summary.json", {"a": 1}),
        lambda: run.step(1, {"reward": 0.0}, groups()),
        lambda: run.event("note"),
        lambda: run.write_eval("dev", "base", {"value": 2}, [eval_row("b")]),
    )
    for attempt in attempts:
        with full_disk(monkeypatch), pytest.raises(MachineError, match="disk is full") as caught:
            attempt()
        assert caught.value.code == "E202" and "intact" in caught.value.kept
    after = everything(run.path)
    assert {name: data for name, data in after.items() if data} == {name: data for name, data in before.items() if data}
    assert run.read_eval("dev", "base")[0]["value"] == 1


def test_a_full_disk_while_a_run_is_made_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_disk(monkeypatch), pytest.raises(MachineError):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_system_errors_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        files.write_bytes(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_half_written_line_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    files.append_line(path, {"step": 0})
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, hard))
    try:
        with pytest.raises(OSError):
            files.append_line(path, {"step": 1, "padding": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("torn", "kept"), [('{"step": 1, "rew', [0, 2]), ('{"step": 1}', [0, 1, 2]), ('{"step": 1}\n', [0, 1, 2])]
)
def test_a_torn_line_is_ignored_and_then_mended(tmp_path: Path, torn: str, kept: list[int]) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n' + torn)
    assert [row["step"] for row in files.read_lines(path)] == kept[:-1]
    files.append_line(path, {"step": 2})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == kept


def test_a_bad_line_in_the_middle_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for middle in ("nonsense", "[1]"):
        path.write_text(f'{{"step": 0}}\n{middle}\n{{"step": 2}}\n')
        with pytest.raises(UsageError, match="line 2 is not") as caught:
            files.read_lines(path)
        assert caught.value.code == "E106"


def test_leftovers_of_a_kill_are_not_read_and_are_cleared(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.start_attempt()
    run.step(0, {}, groups())
    run.write_eval("dev", "base", {}, [])
    stale = [
        run.path / ".status.json.12345678.tmp",
        run.path / "rollouts" / ".step_000001.jsonl.gz.12345678.tmp",
        run.path / "evals" / "dev" / "base" / ".results.json.12345678.tmp",
    ]
    for path in stale:
        path.write_text("{")
    again = RunFolder.open(str(run.path), tmp_path)
    assert (again.rollout_steps(), again.evals(), again.status()["state"]) == ([0], [("dev", "base")], "running")
    again.start_attempt()
    assert not any(path.exists() for path in stale)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.step(0, {}, groups())
    path = run.path / "rollouts" / "step_000000.jsonl.gz"
    whole = path.read_bytes()
    for damaged in (whole[:-9], b"\x00" + whole, whole[:20] + b"\xff\xff" + whole[22:]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="damaged"):
            run.rollouts(0)
    with pytest.raises(UsageError, match="there is no"):
        run.rollouts(1)
    for text in ("{", "[]"):
        (run.path / "status.json").write_text(text)
        with pytest.raises(UsageError, match="is not"):
            run.status()


def test_numbers_json_has_no_word_for_become_null(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_json(
        "summary.json", {"a": math.nan, "b": [np.float32(0.5), np.int64(3), np.bool_(True)], "c": (tmp_path,), 1: -0.0}
    )
    text = (run.path / "summary.json").read_text()
    assert json.loads(text) == {"a": None, "b": [0.5, 3, True], "c": [str(tmp_path)], "1": 0.0}
    with pytest.raises(TypeError, match="object"):
        run.write_json("summary.json", {"a": object()})
    assert (run.path / "summary.json").read_text() == text


def test_text_is_written_whatever_is_in_it(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_text("report.html", "a\ud800b\u2028")
    assert (run.path / "report.html").read_bytes() == "a?b\u2028".encode()


# Steps, attempts, events


def test_status_is_merged(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_status(state="running", step=3, steps=12, eta=60.0)
    run.write_status(state="done")
    status = run.status()
    assert {key: status[key] for key in ("state", "step", "steps", "eta")} == {
        "state": "done",
        "step": 3,
        "steps": 12,
        "eta": None,
    }
    with pytest.raises(AssertionError):
        run.write_status(state="finished")


def test_groups_come_back_as_they_went(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.step(12, {"reward": 0.5}, groups())
    assert run.rollout_steps() == [12]
    assert run.read_groups(12) == [
        Group(
            id=group.id,
            problem=group.problem,
            prompt_tokens=group.prompt_tokens,
            completions=(
                Completion(
                    tokens=(5, 6),
                    logprobs=(-0.1, -2.0 / 3),
                    text=NASTY,
                    finished=True,
                    reward=1.0,
                    verdict=Verdict(correct=True, extracted="7", method="boxed"),
                ),
                group.completions[1],
            ),
            policy_version=4,
        )
        for group in groups()
    ]
    row = run.rollouts(12)[3]
    assert (row["step"], row["group"], row["sample"], row["problem_id"], row["method"]) == (12, 1, 1, "p", None)


@given(st.lists(st.floats(max_value=0), max_size=5))
def test_log_probabilities_are_exact_or_nan(logprobs: list[float]) -> None:
    data = files.gzipped(files.json_lines([{"x": tuple(logprobs)}]))
    back = json.loads(gzip.decompress(data))["x"]
    assert back == [value if math.isfinite(value) else None for value in logprobs]


def test_equal_steps_give_equal_files(tmp_path: Path) -> None:
    one, two = make(tmp_path), make(tmp_path)
    for run in (one, two):
        run.step(0, {"reward": 1.0}, groups())
    name = Path("rollouts") / "step_000000.jsonl.gz"
    assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert (one.path / name).read_bytes()[4:8] == bytes(4)  # no time stamp


def test_the_last_attempt_wins(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.start_attempt() == 1
    for step in range(4):
        run.step(step, {"reward": 0.0}, groups(reward=0.0))
    again = RunFolder.open(str(run.path), tmp_path)
    assert again.attempt == 1
    assert again.start_attempt() == 2
    assert again.log_path == run.path / "logs" / "attempt_2" / "main.log" and again.log_path.exists()
    for step in (2, 3, 4):
        again.step(step, {"reward": 1.0, "step": 99.0}, groups())
    rows = again.metrics()
    assert [(row["step"], row["attempt"], row["reward"]) for row in rows] == [
        (0, 1, 0.0),
        (1, 1, 0.0),
        (2, 2, 1.0),
        (3, 2, 1.0),
        (4, 2, 1.0),
    ]
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 7
    assert again.read_groups(2)[0].completions[0].reward == 1.0


def test_events_keep_their_order(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.events() == []
    run.start_attempt()
    run.event("signal", name="SIGTERM")
    run.event("resume", step=3)
    assert [(row["kind"], row["attempt"]) for row in run.events()] == [("signal", 1), ("resume", 1)]
    assert run.events()[0]["name"] == "SIGTERM"


# Evaluations, example, checkpoints


def test_evaluations_come_back(tmp_path: Path) -> None:
    run = make(tmp_path)
    rows = [eval_row("a"), eval_row("b", correct=False)]
    for checkpoint in ("checkpoint-12", "checkpoint-4", "base"):
        run.write_eval("builtin-dev", checkpoint, {"accuracy": 0.5}, rows)
    assert run.evals() == [
        ("builtin-dev", "base"),
        ("builtin-dev", "checkpoint-4"),
        ("builtin-dev", "checkpoint-12"),
    ]
    results, back = run.read_eval("builtin-dev", "base")
    assert (results["accuracy"], results["task"], back) == (0.5, "builtin-dev", rows)
    with pytest.raises(UsageError):
        run.read_eval("builtin-dev", "checkpoint-99")


def test_task_names_cannot_leave_the_folder_or_meet(tmp_path: Path) -> None:
    run = make(tmp_path)
    names = ["../../x", "a/b", "a b", "a-b", ".", ".."]
    for name in names:
        run.write_eval(name, "base", {"name": name}, [])
    assert sorted(task for task, _ in run.evals()) == sorted(names)
    assert all(run.read_eval(name, "base")[0]["name"] == name for name in names)
    assert [path.name for path in tmp_path.iterdir()] == [run.path.name]


def test_samples_of_a_later_version_can_be_read(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_eval("dev", "base", {}, [eval_row("a")])
    path = run.path / "evals" / "dev" / "base" / "samples.jsonl.gz"
    row = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(row | {"new": 1}).encode() + b"\n"))
    assert run.read_eval("dev", "base")[1] == [eval_row("a")]


def test_example_and_selection(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert (run.example(), run.selection()) == ([], [])
    run.write_example([Problem(id="p", prompt="?", answer="7", meta={"kind": "add"})], {"base_rate": 0.25})
    run.write_selection([{"id": "p", "solved": 2}])
    assert run.example() == [
        {"id": "p", "prompt": "?", "answer": "7", "category": "", "meta": {"kind": "add"}, "base_rate": 0.25}
    ]
    assert run.selection() == [{"id": "p", "solved": 2}]


def test_checkpoints_are_sorted_by_number(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.checkpoints() == []
    for name in ("checkpoint-12", "checkpoint-4", "last_state", ".checkpoint-8.tmp", "checkpoint-x"):
        (run.checkpoints_dir / name).mkdir(parents=True)
    assert run.checkpoints() == [4, 12]
    assert run.checkpoint_dir(4) == run.path / "checkpoints" / "checkpoint-4"
    assert run.last_state_dir.is_dir() and run.history_path.name == "history.jsonl"


# Disk, secrets, imports


def test_check_disk_gives_numbers(tmp_path: Path) -> None:
    check_disk(tmp_path / "not" / "there", 1)
    with pytest.raises(MachineError, match=r"needs 1048576\.00 GiB but only [\d.]+ [MG]iB are free") as caught:
        check_disk(tmp_path / "not" / "there", 2**50)
    assert caught.value.code == "E202"
    assert caught.value.tries == (f"df -h {tmp_path}",)


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--hub.token", "abc", "x"], ["--hub.token", "[redacted]", "x"]),
        (["--hf-token=abc"], ["--hf-token=[redacted]"]),
        (["HF_TOKEN=abc"], ["HF_TOKEN=[redacted]"]),
        (["--token", "--json"], ["--token", "--json"]),
        (["hf_abcdefghijklmnopqrst"], ["[redacted]"]),
        (["https://me:pw@host/x"], ["https://[redacted]@host/x"]),
        (["--rollout.max-new-tokens", "64"], ["--rollout.max-new-tokens", "64"]),
        (["--example", "a token = 3"], ["--example", "a token = 3"]),
    ],
)
def test_credentials_in_the_command_line(argv: list[str], shown: list[str]) -> None:
    assert redact_argv(argv) == shown


def test_credentials_and_environment_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "from-the-environment")
    config = {"hub": {"token": "from-the-config"}, "rollout": {"max_new_tokens": 64}, "data": ["hf_" + "a" * 30]}
    run = RunFolder.create(tmp_path, "x", config, ["oneshot", "--hub.token", "from-the-flag"])
    recorded = b"".join(everything(run.path).values())
    assert b"from-the" not in recorded and b"hf_a" not in recorded
    assert run.config()["rollout"] == {"max_new_tokens": 64}
    assert redact({"token": ""}) == {"token": ""}


def test_git_commit_is_of_the_tracked_folder_only(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True)
        return done.stdout.strip()

    git("init")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text("")
    (tmp_path / "untracked").mkdir()
    git("add", "package")
    git("commit", "-m", "x")
    assert git_commit(tmp_path / "package") == git("rev-parse", "HEAD")
    assert git_commit(tmp_path / "untracked") is None


def test_git_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(__file__).parent) is None


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, oneshot.record, oneshot.history, oneshot.measure.gains, oneshot.measure.dynamics;"
        "print([name for name in ('torch', 'transformers', 'tyro', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
