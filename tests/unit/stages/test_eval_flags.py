"""The flags of `oneshot eval`, checked before a file is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.config.origins import DEFAULT
from oneshot.config.request import Request
from oneshot.config.schema import Config, DataConfig, RewardConfig
from oneshot.errors import UsageError
from oneshot.stages.evals.flags import check_k, check_least, missed, passed_over, read


def request(*words: str, **flags: Any) -> Request:
    return Request(verb="eval", positional=words, verb_flags=flags)


def test_the_flags() -> None:
    flags = read(
        request("m", k="8,1,8", checkpoints="all", export="hub,lm-eval", forced_box=True, fail_under={"": 0.5})
    )
    assert (flags.target, flags.ks, flags.checkpoints, flags.exports) == ("m", (1, 8), "all", ("hub", "lm-eval"))
    assert (flags.forced, flags.best_prompt, flags.icl, flags.least) == (True, False, "", {"": 0.5})
    assert read(request(responses="r.jsonl")).responses == "r.jsonl"


@pytest.mark.parametrize(
    ("words", "flags", "code", "said"),
    [
        ((), {}, "E103", "oneshot eval needs MODEL|RUN."),
        (("m",), {"responses": "r"}, "E105", "--responses r are graded as they are, without a model: leave 'm' out."),
        ((), {"responses": "r", "icl": "x"}, "E105", "--icl says how a model is asked"),
        ((), {"responses": "r", "forced_box": True}, "E105", "--forced-box says how a model is asked"),
        (("m",), {"checkpoints": "bets"}, "E103", "--checkpoints 'bets' is none of: last, best, all."),
        (("m",), {"export": "lm-eval,hup"}, "E102", "unknown export 'hup'. Did you mean 'hub'?"),
        (("m",), {"export": ""}, "E103", "--export '' names no export. Known: inspect, lm-eval, hub."),
        (("m",), {"export": ","}, "E103", "--export ',' names no export."),
        ((), {"responses": "r", "export": "hub"}, "E105", "graded responses are recorded with --out only."),
        (("m",), {"k": "8,x"}, "E103", "--k 8,x: 'x' is not a whole number above 0."),
        (("m",), {"k": "0"}, "E103", "--k 0: '0' is not a whole number above 0."),
        (("m",), {"k": ","}, "E103", "is not a whole number above 0."),
    ],
)  # fmt: skip
def test_what_is_refused(words: tuple[str, ...], flags: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(request(*words, **flags))
    assert caught.value.code == code
    assert said in caught.value.message


def test_sampling_settings_do_not_go_with_stored_outputs() -> None:
    asked = Request(verb="eval", verb_flags={"responses": "r"}, origins={"evals.samples": "flag --n"})
    with pytest.raises(UsageError, match=r"--evals.samples says how a model is asked"):
        read(asked)


def test_a_control_arm_of_a_recipe_does_nothing_here_and_that_is_said() -> None:
    found = {"reward.control": "file r.toml:3", "data.corrupt": DEFAULT, "optim.lr": "file r.toml:5"}
    config = Config(reward=RewardConfig(control="shuffled"))
    told = passed_over(Request(verb="eval", config=config, origins=found))
    assert told == [
        'reward.control = "shuffled" (file r.toml:3) acts in training only and changes nothing measured here'
    ]
    corrupt = Config(data=DataConfig(corrupt=0.5))
    given = {"data.corrupt": "environment ONESHOT_DATA__CORRUPT"}
    assert passed_over(Request(verb="eval", config=corrupt, origins=given))[0].startswith("data.corrupt = 0.5 (env")
    assert passed_over(Request(verb="eval", config=Config(), origins={"reward.control": "file r.toml:3"})) == []


@pytest.mark.parametrize(
    "words", [("nobody/knows", "--data", "x.jsonl"), ("--responses", "x.jsonl", "--tasks", "gsm8k")]
)
def test_it_is_said_of_a_model_and_of_responses(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text('reward.control = "shuffled"\noptim.lr = 1e-4\n', encoding="utf-8")
    assert main(["eval", *words, "-c", "r.toml"]) == 2
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first.startswith('note: reward.control = "shuffled" (file r.toml:1) acts in training only')
    assert second.startswith("E106 ")


def test_n_below_k() -> None:
    check_k((), {"math500": 1})
    check_k((1, 8), {"aime24": 8, "math500": 1})
    with pytest.raises(UsageError) as caught:
        check_k((1, 8), {"aime24": 2, "math500": 4})
    assert caught.value.code == "E103"
    assert caught.value.message == "--k 8 needs 8 responses to each problem, and math500 has --n 4."
    assert caught.value.tries == ("--n 8", "--k 4")


def test_a_threshold_for_a_task_that_is_not_measured() -> None:
    check_least({"": 0.1, "a": 0.2}, ["a", "b"])
    with pytest.raises(
        UsageError, match=r"the tasks measured here are math500, aime24. Did you mean 'math500'\?"
    ) as two:
        check_least({"math50": 0.5}, ["math500", "aime24"])
    assert two.value.code == "E102"


def test_what_is_below_its_threshold() -> None:
    values = {"a": 0.4, "b": 0.6}
    assert missed({}, values) == {}
    assert missed({"": 0.5}, values) == {"a": (0.4, 0.5)}
    assert missed({"": 0.5, "b": 0.7}, values) == {"a": (0.4, 0.5), "b": (0.6, 0.7)}
    assert missed({"b": 0.6}, values) == {}
