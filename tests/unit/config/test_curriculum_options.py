"""[data.curriculum_options]: keywords of the curriculum, from files, the environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.cli.options import parse, request
from oneshot.config.load import from_dict, load, to_dict
from oneshot.config.origins import table
from oneshot.errors import UsageError
from oneshot.stages.setup import resolve_names


def test_from_everywhere_and_back(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('[data]\ncurriculum = "mopps"\n[data.curriculum_options]\ndecay = 0.25\ntarget = 0.4\npick = 3\n')
    env = {"ONESHOT_DATA__CURRICULUM_OPTIONS__TARGET": "0.6"}
    resolved = load([recipe], env, {"data.curriculum_options.pick": "2"})
    assert resolved.config.data.curriculum == "mopps"
    assert resolved.config.data.curriculum_options == {"decay": 0.25, "target": 0.6, "pick": 2}
    assert resolved.origins["data.curriculum_options.decay"].endswith("r.toml:4")
    assert resolved.origins["data.curriculum_options.pick"] == "flag --data.curriculum-options.pick"
    assert from_dict(to_dict(resolved.config)) == resolved.config
    keys = [key for key, _, _ in table(resolved)]
    assert keys.index("data.curriculum") < keys.index("data.curriculum_options.pick") < keys.index("reward.name")
    assert {key: value for key, value, _ in table(resolved)}["data.curriculum_options.target"] == 0.6


def test_flags() -> None:
    words = (
        "train",
        "--example",
        "1+1?",
        "--answer",
        "2",
        "--curriculum",
        "pcl",
        "--data.curriculum-options.wide",
        "2",
    )
    made = request(parse(words), words, {})
    assert (made.config.data.curriculum, made.config.data.curriculum_options) == ("pcl", {"wide": 2})
    assert resolve_names(made.config).curriculum.embeds


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"wider": 2}, "E101", "curriculum 'pcl' has no option 'wider'. Did you mean 'wide'?"),
        ({"wide": "much"}, "E103", "curriculum 'pcl', option 'wide': 'much' is not a int."),
        ({"ridge": -1.0}, "E103", "curriculum 'pcl', option 'ridge': -1 must be at least 1e-09."),
    ],
)
def test_wrong_options(options: dict[str, object], code: str, says: str) -> None:
    config = from_dict({"data": {"curriculum": "pcl", "curriculum_options": options}})
    with pytest.raises(UsageError) as caught:
        resolve_names(config)
    assert (caught.value.code, caught.value.message.partition(" It takes")[0]) == (code, says)


def test_a_table_is_no_value() -> None:
    with pytest.raises(UsageError) as caught:
        from_dict({"data": {"curriculum_options": 3}})
    assert caught.value.code == "E103"
