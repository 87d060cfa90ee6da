"""argv to a request: spellings, aliases, verb flags, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.cli.options import Parsed, parse, request
from oneshot.cli.verbs import COMMON, SHORT, VERBS, shorts, uses
from oneshot.config.names import KEYS, SECTIONS, short_flag
from oneshot.config.request import Request
from oneshot.errors import UsageError


def parsed(*words: str) -> Parsed:
    return parse(words)


def asked(*words: str, env: dict[str, str] | None = None) -> Request:
    return request(parse(words), words, env or {})


def refused(*words: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        asked(*words)
    return caught.value


@pytest.mark.parametrize(
    ("word", "way"),
    [
        ("--epsilon=0.2", "Here it is algorithm.clip_low and algorithm.clip_high"),
        ("--scale-rewards=none", "dr_grpo does not"),
        ("--loss_type=dapo", "algorithm.name"),
        ("actor_rollout_ref.actor.clip_ratio_high=0.28", "Here it is algorithm.clip_high"),
        ("actor_rollout_ref.actor.kl_loss_type=low_var_kl", "low_var_kl is k3"),
    ],
)
def test_another_tools_name_whose_value_differs_is_refused_with_the_way(word: str, way: str) -> None:
    error = refused("train", word)
    assert error.code == "E101"
    assert way in error.message


def test_one_train_command_of_everything(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text("[optim]\nlr = 1e-4\nsteps = 9\n", encoding="utf-8")
    made = asked(
        "train", "-c", str(recipe), "--example", "What is -3 + 5?", "--answer", "2", "--model=smollm2-135m", "--steps",
        "4", "--rollout.group-size", "16", "--rollout.max_new_tokens=32", "--dry-run", "--json", "-q", "-y",
        "--optim.packing", "false", "--allow-unsolved", "--algorithm.clip-high", "0.3",
    )  # fmt: skip
    config = made.config
    assert (config.data.example, config.data.answer, config.model.name) == ("What is -3 + 5?", "2", "smollm2-135m")
    assert (config.optim.steps, config.optim.lr, config.optim.packing) == (4, 1e-4, False)
    assert (config.rollout.group_size, config.rollout.max_new_tokens) == (16, 32)
    assert (config.data.allow_unsolved, config.algorithm.options) == (True, {"clip_high": 0.3})
    assert (made.dry_run, made.json, made.quiet, made.yes, made.verbose, made.offline) == (1, 1, 1, 1, 0, 0)
    assert made.origins["optim.steps"] == "flag --optim.steps"
    assert made.origins["optim.lr"] == f"file {recipe}:2"
    assert made.given("optim.lr")
    assert not made.given("optim.beta1")
    assert made.argv[0] == "train"


@pytest.mark.parametrize(
    ("words", "key", "text"),
    [
        (("--learning-rate", "1e-6"), "optim.lr", "1e-6"),
        (("--num_generations=8",), "rollout.group_size", "8"),
        (("--beta", "0"), "algorithm.kl", "0"),
        (("--max-completion-length", "3072"), "rollout.max_new_tokens", "3072"),
        (("--actor_rollout_ref.actor.optim.lr", "1e-6"), "optim.lr", "1e-6"),
        (("actor_rollout_ref.actor.optim.lr=1e-6",), "optim.lr", "1e-6"),
        (("data.train_batch_size=128",), "rollout.groups", "128"),
        (("--rollout.n", "8"), "rollout.group_size", "8"),
    ],
)
def test_names_of_trl_and_verl_are_taken_with_a_note(words: tuple[str, ...], key: str, text: str) -> None:
    found = parsed("train", *words)
    assert found.settings == {key: text}
    (note,) = found.notes
    assert note.endswith(f"is called --{key.replace('_', '-')} here")


def test_our_own_short_names_need_no_note() -> None:
    found = parsed("train", "--model", "a", "--data", "b", "--reward", "c", "--algorithm", "d", "--task-seed", "7")
    assert found.notes == []
    assert found.settings == {
        "model.name": "a",
        "data.source": "b",
        "reward.name": "c",
        "algorithm.name": "d",
        "data.task_seed": "7",
    }


def test_negative_values_and_values_with_equals_signs() -> None:
    found = parsed("train", "--data.index", "-1", "--example", "x = 3, y?", "--answer", "-4")
    assert found.settings == {"data.index": "-1", "data.example": "x = 3, y?", "data.answer": "-4"}
    assert parsed("train", "--example=--2 = ?").settings == {"data.example": "--2 = ?"}


def test_the_last_of_two_wins_and_files_keep_their_order() -> None:
    found = parsed("train", "--optim.lr", "1", "--learning-rate", "2", "-c", "a", "--config", "b", "--config=c")
    assert (found.settings, found.files) == ({"optim.lr": "2"}, ["a", "b", "c"])


def test_resume_may_stand_alone() -> None:
    assert asked("train", "--resume").verb_flags == {"resume": "latest"}
    assert asked("train", "--resume", "--json").verb_flags == {"resume": "latest"}
    assert asked("train", "--resume", "runs/a").verb_flags == {"resume": "runs/a"}
    assert asked("train").verb_flags == {}


def test_eval_reads_its_own_data() -> None:
    words = ("eval", "runs/a", "--data", "b.jsonl", "--limit", "9", "--fail-under", "0.5", "--fail-under", "math=0.66")
    made = asked(*words)
    assert made.positional == ("runs/a",)
    assert (made.config.evals.source, made.config.evals.limit, made.config.data.source) == ("b.jsonl", 9, "")
    assert made.verb_flags == {"fail_under": {"": 0.5, "math": 0.66}}


def test_eval_has_short_names_of_its_own() -> None:
    words = ("--tasks", "math500,aime24", "--n", "8", "--temperature", "0.6", "--max-new-tokens", "64")
    made = asked("eval", "m", *words, "--data-dir", "d", "--k", "1,8", "--out", "there", "--forced-box")
    evals = made.config.evals
    assert (evals.tasks, evals.samples, evals.temperature, evals.max_new_tokens) == ("math500,aime24", 8, 0.6, 64)
    assert (evals.data_dir, made.config.rollout.max_new_tokens, made.config.save.runs) == (
        "d", asked("eval", "m").config.rollout.max_new_tokens, "runs",
    )  # fmt: skip
    assert made.verb_flags == {"k": "1,8", "out": "there", "forced_box": True}
    assert asked("eval", "--responses", "r.jsonl", "--tasks", "math500").positional == ()


def test_ls_and_fetch_have_short_names_of_their_own() -> None:
    assert asked("ls", "--runs", "there").config.save.runs == "there"
    made = asked("fetch", "math500", "owner/name", "--data-dir", "d", "--model.revision", "v1")
    assert made.positional == ("math500", "owner/name")
    assert (made.config.evals.data_dir, made.config.model.revision) == ("d", "v1")
    assert asked("fetch").positional == ()


@pytest.mark.parametrize("value", ["1.5", "high", "math=", "math=-1", "nan"])
def test_a_threshold_is_an_accuracy(value: str) -> None:
    assert refused("eval", "m", "--fail-under", value).code == "E103"


def test_demo_starts_from_its_recipe_and_flags_win() -> None:
    made = asked("demo", "--steps", "1", "--seed", "2", "--out", "elsewhere", "--full")
    assert (made.config.optim.steps, made.config.optim.warmup, made.config.seed) == (1, 3, 2)
    assert made.origins["optim.warmup"].startswith("file demo.toml:")
    assert (made.config.save.runs, made.verb_flags) == ("elsewhere", {"full": True})


def test_offline_by_flag_or_environment() -> None:
    assert asked("report", "latest", "--offline").offline
    assert asked("report", "latest", env={"ONESHOT_OFFLINE": "1"}).offline
    assert not asked("report", "latest").offline


def test_words_after_two_dashes_are_no_flags() -> None:
    assert parsed("eval", "--json", "--", "--odd-name").positional == ["--odd-name"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("trian",), "E102", "unknown verb 'trian'. Did you mean 'train'?"),
        (("--json",), "E102", "The verb comes first."),
        (("train", "--optim.lrr", "1"), "E101", "Did you mean '--optim.lr'?"),
        (("train", "--group-size", "1"), "E101", "Did you mean '--rollout.group-size'?"),
        (("train", "--learning-rat", "1"), "E101", "Did you mean '--optim.lr'?"),
        (("train", "--optim.temperature", "1"), "E101", "Did you mean '--rollout.temperature'?"),
        (("train", "--resum"), "E101", "Did you mean '--resume'?"),
        (("train", "-x"), "E101", "no flag '-x'"),
        (("demo", "--data", "x"), "E101", "oneshot demo does not use --data. It belongs to: plan, train."),
        (("report", "r", "--optim.lr", "1"), "E101", "does not use --optim.lr. It belongs to: demo, plan, train."),
        (("eval", "m", "--control", "wrong"), "E101", "does not use --control. It belongs to: plan, train."),
        (("select", "p.jsonl", "--control", "wrong"), "E101", "does not use --control. It belongs to: plan, train."),
        (("eval", "m", "--corrupt", "0.5"), "E101", "does not use --corrupt. It belongs to: plan, train."),
        (("select", "p.jsonl", "--corrupt", "0.5"), "E101", "does not use --corrupt. It belongs to: plan, train."),
        (("train", "--steps", "1000001"), "E103", "at most 1000000"),
        (("train", "--top-p", "0.9"), "E105", "would not be those of the policy that sampled"),
        (("train", "--rollout.top-k", "9"), "E105", "would not be those of the policy that sampled"),
        (("train", "--optim.lr"), "E103", "--optim.lr needs a value."),
        (("train", "--optim.lr", "--json"), "E103", "--optim.lr needs a value."),
        (("train", "--json=1"), "E103", "--json takes no value, got '1'."),
        (("train", "--optim.lr", "fast"), "E103", "--optim.lr: optim.lr = 'fast' is not a number."),
        (("train", "surplus"), "E103", "'surplus' is one word too many."),
        (("report",), "E103", "oneshot report needs RUN."),
        (("train", "-c", "nowhere.toml"), "E106", "no file and no recipe 'nowhere.toml'."),
    ],
)
def test_what_is_refused(words: tuple[str, ...], code: str, said: str) -> None:
    error = refused(*words)
    assert (error.code, error.exit_code) == (code, 2)
    assert said in error.message


def test_help_needs_no_other_word() -> None:
    assert "help" in parsed("eval", "--help").flags


def test_the_table_of_verbs_is_consistent() -> None:
    assert list(VERBS) == [
        "demo", "doctor", "recipes", "plan", "check", "grade", "select", "train", "watch", "rollouts", "ls", "eval",
        "compare", "regrade", "study", "report", "chat", "serve", "export", "push", "fetch", "completion",
    ]  # fmt: skip
    for name, verb in VERBS.items():
        assert verb.target.startswith("oneshot.stages.") or verb.target == "oneshot.cli.completion:main"
        assert verb.target.endswith(":main")
        assert all(s in KEYS or s in SECTIONS for s in verb.settings), name
        names = [f.name for f in (*verb.flags, *COMMON)]
        assert len(names) == len(set(names))
        assert not set(names) & set(shorts(verb)), "a short name would hide a setting"
        told = {short_flag(key).removeprefix("--") for key in KEYS if uses(verb, key)}
        assert not told & set(names), "an error would name another flag"
    assert set(SHORT.values()) <= set(KEYS)
    assert not set(VERBS) & set(SECTIONS), "a section is never named like a verb"
