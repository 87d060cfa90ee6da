"""Every mistake ends in one message: a code, what and where, a way out, the right exit status, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.model import memory
from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, Told, write_pool


def check(told: Told, code: int, error: str, *words: str) -> None:
    """One message with `error` on stderr, its way out, nothing on stdout."""
    assert told.code == code, told.err
    assert told.out == ""
    lines = told.err.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"{error} "))
    assert all(line.startswith("  ") for line in lines[first + 1 :]), told.err
    message = "\n".join(lines[first:])
    for word in words:
        assert word in message, message
    assert "  try: " in message


@pytest.fixture
def start(oneshot: OneShot, tiny: Path) -> OneShot:
    """`oneshot train` with a model but without an example."""
    words = ("train", "--model", tiny, "--model.threads", "1", "--reward", "number", "--steps", "1")
    return lambda *more: oneshot(*words, "--rollout.max-new-tokens", "6", *more)


def no_run() -> bool:
    return not Path("runs").exists()


def test_no_example_at_all(start: OneShot) -> None:
    check(start(), 2, "E105", "no example", "--example", "--data pi1")
    check(start("--example", "What is 2 + 3?"), 2, "E105", "--data.answer")
    check(start("--data", "builtin"), 2, "E105", "oneshot demo")
    assert no_run()


def test_a_missing_file(start: OneShot, oneshot: OneShot, tiny: Path) -> None:
    check(start("--data", "missing.jsonl"), 2, "E106", "missing.jsonl does not exist")
    check(start("--data", "p1"), 2, "E106", "'p1' is neither a file nor a built-in example", "Did you mean 'pi1'?")
    check(oneshot("eval", tiny, "--data", "missing.jsonl"), 2, "E106", "missing.jsonl does not exist")
    check(oneshot("train", "-c", "missing.toml"), 2, "E106", "missing.toml", "oneshot recipes list")
    check(start("--data", "."), 2, "E106", "is a folder")
    assert no_run()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "the line is empty"),
        ("not json", "the line is not JSON"),
        ('{"prompt": "q", "answer": 3', "the line is not JSON"),
        ('["q", 3]', "the line is a JSON list"),
        ('{"prompt": "", "answer": "3"}', "the question (prompt) is empty"),
        ('{"prompt": "q", "answer": ["3"]}', "is a list"),
    ],
)
def test_an_empty_or_malformed_row_names_its_line(start: OneShot, tmp_path: Path, line: str, told: str) -> None:
    good = '{"prompt": "What is 1 + 1?", "answer": "2"}'
    file = tmp_path / "pool.jsonl"
    file.write_text(f"{good}\n{line}\n{good}\n", "utf-8")
    check(start("--data", file), 4, "E301", f"{file}, line 2: ", told, "No row was used.")
    assert no_run()


def test_an_empty_file_and_columns_nobody_knows(start: OneShot, tmp_path: Path) -> None:
    check(start("--data", write_pool(tmp_path / "empty.jsonl", [])), 4, "E301", "holds no rows")
    odd = write_pool(tmp_path / "odd.jsonl", [{"text": "q", "answer": "3"}])
    check(start("--data", odd), 4, "E301", "no column for the prompt (columns: text, answer)", "problem, question")


def test_references_that_are_empty(start: OneShot, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool.jsonl", [{"prompt": text, "answer": ""} for text in "ab"])
    check(start("--data", pool), 4, "E301", f"{pool}, line 1: the reference answer (answer) is empty in all 2 rows")
    check(start("--data", pool, "--data.index", "1"), 4, "E301", f"{pool}, line 2: ")
    assert no_run()


def test_an_index_out_of_range(start: OneShot, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool.jsonl", [{"prompt": "q", "answer": str(i)} for i in range(3)])
    check(start("--data", pool, "--data.index", "3"), 2, "E103", "3 is out of range", "has 3 rows, 0 to 2")


def test_an_answer_the_grader_cannot_parse(start: OneShot, tmp_path: Path) -> None:
    told = start("--example", "What is it?", "--answer", "nan")
    check(told, 4, "E302", "'number'", "'nan'", "no response could ever be right", "Nothing was trained.")
    pool = write_pool(tmp_path / "pool.jsonl", [{"prompt": text, "answer": "nan"} for text in "ab"])
    check(start("--data", pool), 4, "E302", f"{pool}, line 1: ")
    check(start("--data", pool, "--data.index", "1"), 4, "E302", "'nan'")
    assert no_run()


def test_an_example_that_is_never_solved(train: OneShot, graded: Callable[..., None]) -> None:
    graded(lambda response, reference: False)
    told = train("--steps", "1")
    check(told, 4, "E303", "0 of 32 tries", "95 % interval 0 to 11%", "--allow-unsolved", "Nothing was trained.")
    assert RunFolder.open("latest", Path("runs")).status()["state"] == "failed"
    assert train("--steps", "1", "--allow-unsolved").code == 0


def test_an_example_that_is_always_solved(train: OneShot, graded: Callable[..., None]) -> None:
    graded(lambda response, reference: True)
    told = train("--steps", "1")
    check(told, 4, "E307", "32 of 32 tries", "95 % interval 89% to 100 %", "--yes", "Nothing was trained.")
    assert train("--steps", "1", "--yes").code == 0


def test_too_little_memory_is_told_with_numbers_before_any_download(
    oneshot: OneShot, start: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 6 * 2**30)
    told = oneshot("train", "-c", "paper/qwen2.5-math-1.5b-pi1")
    check(told, 3, "E201", "1,544 M parameters", "6.0 GiB are free", "weights 5.8", "Nothing was downloaded.")
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    check(start("--example", "a", "--answer", "1"), 3, "E201", "0.0 GiB are free here")
    assert no_run()


def test_an_unknown_key_in_a_recipe_names_its_line_and_the_nearest(oneshot: OneShot, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[model]\nname = "x"\n\n[optim]\nlearning_rat = 1e-5\n', "utf-8")
    told = oneshot("train", "-c", recipe)
    assert (told.code, told.out) == (2, "")
    assert told.err == f"E101 {recipe} line 5: unknown key optim.learning_rat. Did you mean 'optim.lr'?\n"


def test_an_unknown_algorithm_grader_flag_and_verb(train: OneShot, oneshot: OneShot) -> None:
    told = train("--algorithm", "drgrpo")
    assert (told.code, told.err) == (
        2,
        "E102 unknown algorithm 'drgrpo'. Did you mean 'dr_grpo'? "
        "Known: cispo, dapo, dr_grpo, grpo, gspo, max_rl, ppo, reinforce_pp, rloo.\n",
    )
    assert (
        "Known: cispo, dapo, dr_grpo, grpo, gspo, max_rl, ppo, reinforce_pp, rloo." in train("--algorithm", "maxrl").err
    )
    assert "Did you mean 'math'?" in train("--reward", "maths").err
    assert "Did you mean 'clip_low'?" in train("--algorithm.clip-lo", "0.1").err
    check(train("--stepz", "3"), 2, "E101", "'--stepz'", "Did you mean '--steps'?")
    check(oneshot("trian"), 2, "E102", "Did you mean 'train'?")
    assert no_run()


def test_a_folder_that_is_no_run(oneshot: OneShot, tiny: Path) -> None:
    Path("runs").mkdir()
    for words in (("train", "--resume", "nope"), ("report", "nope")):
        check(oneshot(*words), 2, "E104", "there is no run 'nope', here or in runs")
    for words in (("train", "--resume", tiny), ("report", tiny)):
        check(oneshot(*words), 2, "E104", f"{tiny} is not a run folder: it has no status.json")
    assert not (tiny / "report.html").exists()
    check(oneshot("train", "--resume"), 2, "E104", "there is no run folder in runs")
    check(oneshot("report", "latest"), 2, "E104", "there is no run folder in runs")


def test_a_used_run_folder_is_never_written_into(train: OneShot) -> None:
    """A new run is a new folder, even when everything about it is the same."""
    folders = {train("--steps", "1", "--allow-unsolved", "--name", "same").run.path for _ in range(3)}
    assert len(folders) == 3
    Path("file").write_text("", "utf-8")
    told = train("--steps", "1", "--allow-unsolved", "--out", "file")
    assert (told.code, told.err) == (2, "E104 file is a file, not a folder of runs.\n")


def test_a_folder_that_is_no_model(train: OneShot, oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[:4000])  # enough for all but the weights
    for name, told in (
        (tmp_path / "empty", "holds no model: it has no config.json"),
        ("./nowhere", "there is no model folder ./nowhere"),
        (broken, "cannot be loaded as a causal language model"),
    ):
        check(train("--model", name), 4, "E304", told, "--model")
        check(oneshot("eval", name, "--data", "builtin"), 4, "E304", told)
    assert no_run()


def test_no_network_for_a_model_of_the_hub(train: OneShot) -> None:
    told = train("--model", "Qwen/Qwen2.5-0.5B", "--offline")
    check(told, 3, "E203", "Qwen/Qwen2.5-0.5B is not in the cache and --offline was given", "--model smollm2-135m")
    assert no_run()


def test_the_embedded_model_offline_with_an_empty_cache(oneshot: OneShot, tmp_path: Path) -> None:
    told = oneshot("demo", "--offline", "--quiet")
    check(told, 3, "E203", str(tmp_path / "home"), "try: oneshot doctor --fetch", "Nothing was downloaded.")
    assert no_run()


def test_a_prompt_longer_than_its_limit(train: OneShot) -> None:
    told = train("--rollout.max-prompt-tokens", "5", "--steps", "1")
    check(told, 4, "E301", "has 17 tokens, the limit is 5", "--rollout.max-prompt-tokens 17")


def test_settings_that_make_no_sense(train: OneShot) -> None:
    check(train("--steps", "0"), 2, "E103", "at least one step")
    check(train("--rollout.group-size", "1"), 2, "E105", "--rollout.group-size 8")
    for words, told in ((("--optim.lr", "fast"), "is not a number"), (("--top-p", "0.9"), "is refused")):
        assert train(*words).code == 2
        assert told in train(*words).err
    assert no_run()


@pytest.mark.parametrize("words", [("--algorithm", "gpro"), ("--model", "./nowhere"), ("--stepz", "1")])
def test_with_json_an_error_is_one_object_too(train: OneShot, words: tuple[str, ...]) -> None:
    told = train(*words, "--json")
    assert told.json["schema"] == "oneshot.error/1"
    assert told.json["exit_code"] == told.code
    assert told.err.startswith(f"{told.json['code']} {told.json['message']}")


def test_hostile_text_in_an_example_reaches_no_terminal_and_no_page(train: OneShot) -> None:
    told = train("--steps", "1", "--allow-unsolved", "--example", "\x1b[2J<script>alert(1)</script>", "--name", "x")
    assert told.code == 0
    assert "\x1b" not in told.err
    page = (told.run.path / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    assert json.loads((told.run.path / "example.jsonl").read_text("utf-8"))["prompt"].startswith("\x1b[2J")
