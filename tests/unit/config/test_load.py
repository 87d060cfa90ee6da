"""Files, environment and flags: precedence, origins, strictness, line numbers, the round trip."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.load import find_recipe, load
from oneshot.config.names import KEYS
from oneshot.config.schema import Config
from oneshot.errors import MachineError, OneshotError, UsageError

TOML = """# a recipe
[optim]
lr = 1e-6
steps = 20

[rollout]
groups = 8
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(files: list[Path], env: dict[str, str] | None = None, flags: dict[str, str] | None = None) -> OneshotError:
    with pytest.raises(OneshotError) as caught:
        load(files, env or {}, flags or {})
    return caught.value


def test_nothing_given_is_the_schema_with_origin_default() -> None:
    resolved = load([], {}, {})
    assert resolved.config == Config()
    assert set(resolved.origins) == set(KEYS)
    assert set(resolved.origins.values()) == {"default"}


def test_precedence_and_origins_over_all_four_sources(tmp_path: Path) -> None:
    first = write(tmp_path, "first.toml", TOML)
    second = write(tmp_path, "second.yaml", "optim:\n  lr: 2e-6\nrollout:\n  groups: 16\n  group_size: 4\n")
    env = {"ONESHOT_ROLLOUT__GROUPS": "32", "ONESHOT_ROLLOUT__TEMPERATURE": "0.6", "PATH": "/bin"}
    resolved = load([first, second], env, {"rollout.temperature": "0.7", "seed": "3"})
    config, origins = resolved.config, resolved.origins
    assert (config.optim.steps, origins["optim.steps"]) == (20, f"file {first}:4")
    assert (config.optim.lr, origins["optim.lr"]) == (2e-6, f"file {second}:2")
    assert (config.rollout.group_size, origins["rollout.group_size"]) == (4, f"file {second}:5")
    assert (config.rollout.groups, origins["rollout.groups"]) == (32, "environment ONESHOT_ROLLOUT__GROUPS")
    assert (config.rollout.temperature, origins["rollout.temperature"]) == (0.7, "flag --rollout.temperature")
    assert (config.seed, origins["seed"]) == (3, "flag --seed")
    assert (config.rollout.max_new_tokens, origins["rollout.max_new_tokens"]) == (64, "default")


def test_the_later_file_wins_whatever_its_format(tmp_path: Path) -> None:
    toml, yaml = write(tmp_path, "a.toml", "[optim]\nlr = 1e-6\n"), write(tmp_path, "b.yml", "optim: {lr: 3e-6}\n")
    assert load([toml, yaml], {}, {}).config.optim.lr == 3e-6
    assert load([yaml, toml], {}, {}).config.optim.lr == 1e-6


@pytest.mark.parametrize("name", ["recipe.toml", "recipe.yaml"])
def test_an_unknown_key_names_line_and_nearest(tmp_path: Path, name: str) -> None:
    text = (
        "# one\n\n[optim]\nsteps = 3\n# two\nlearning_rate = 1\n"
        if name.endswith("toml")
        else ("# one\n\noptim:\n  steps: 3\n  # two\n  learning_rate: 1\n")
    )
    error = refused([write(tmp_path, name, text)])
    assert (error.code, error.exit_code) == ("E101", 2)
    assert f"{name} line 6: unknown key optim.learning_rate. Did you mean 'optim.lr'?" in error.message


def test_line_numbers_survive_multi_line_values_inline_tables_and_dotted_keys(tmp_path: Path) -> None:
    text = '[data]\nexample = """two\n[optim]\nlr = 5\nlines"""\nanswer = "7"\n\n[optim] # comment\nlr = 1e-6\n'
    path = write(tmp_path, "a.toml", 'rollout = { groups = 2, group_size = 4 }\nmodel.dtype = "float32"\n' + text)
    origins = load([path], {}, {}).origins
    lines = {key: int(origins[key].rpartition(":")[2]) for key in origins if origins[key] != "default"}
    assert lines == {
        "rollout.groups": 1,
        "rollout.group_size": 1,
        "model.dtype": 2,
        "data.example": 4,
        "data.answer": 8,
        "optim.lr": 11,
    }


def test_an_unknown_section_is_refused_even_when_empty(tmp_path: Path) -> None:
    error = refused([write(tmp_path, "a.toml", "\n[optimm]\n")])
    assert "a.toml line 2: unknown section optimm. Did you mean 'optim'?" in error.message
    assert load([write(tmp_path, "b.toml", "[optim]\n# nothing yet\n")], {}, {}).config == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[optim]\nlr = 'fast'\n", "line 2: optim.lr = 'fast' is not a number."),
        ("[optim]\nlr = '1e-6'\n", "line 2: optim.lr = '1e-6' is not a number."),
        ("[optim]\nsteps = 2.0\n", "line 2: optim.steps = 2.0 is not a whole number."),
        ("[optim]\nsteps = true\n", "line 2: optim.steps = True is not a whole number."),
        ("[optim]\npacking = 1\n", "line 2: optim.packing = 1 is not true or false."),
        ("[model]\nname = 3\n", "line 2: model.name = 3 is not text."),
        ("[model]\nname = ['a']\n", "line 2: model.name = ['a'] is not text."),
        ("seed = 1\noptim = 3\n", "line 2: optim is a section, not a value."),
    ],
)
def test_a_wrong_type_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    error = refused([write(tmp_path, "a.toml", text)])
    assert error.code == "E103"
    assert error.message.endswith("a.toml " + said)


def test_yaml_scalars_mean_what_they_look_like(tmp_path: Path) -> None:
    text = "optim: {lr: 1e-6, steps: 0755, packing: no}\nmodel: {name: no, revision: '1'}\ndata: {source: 12}\n"
    config = load([write(tmp_path, "a.yaml", text)], {}, {}).config
    assert (config.optim.lr, config.optim.steps, config.optim.packing) == (1e-6, 755, False)
    assert (config.model.name, config.model.revision, config.data.source) == ("no", "1", "12")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "[optim\n", "not valid TOML"),
        ("a.toml", "seed = 1\nseed = 2\n", "not valid TOML"),
        ("a.yaml", "optim: [1\n", "not valid YAML"),
        ("a.yaml", "- 1\n", "must hold sections"),
        ("a.yaml", "optim:\n  lr: 1\n  lr: 2\n", "line 3: 'lr' stands twice"),
    ],
)
def test_a_file_that_cannot_be_parsed(tmp_path: Path, name: str, text: str, said: str) -> None:
    error = refused([write(tmp_path, name, text)])
    assert error.code == "E106"
    assert said in error.message


def test_files_that_are_missing_or_no_text(tmp_path: Path) -> None:
    assert refused([tmp_path / "gone.toml"]).code == "E106"
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    assert refused([tmp_path / "b.toml"]).code == "E106"


def test_yaml_null_is_no_value(tmp_path: Path) -> None:
    assert refused([write(tmp_path, "a.yaml", "model:\n  revision: null\n")]).code == "E103"


def test_yaml_without_pyyaml_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    error = refused([write(tmp_path, "a.yaml", "seed: 1\n")])
    assert isinstance(error, MachineError)
    assert error.code == "E204"


def test_environment_is_strict_too() -> None:
    error = refused([], {"ONESHOT_OPTIM__LRR": "1"})
    assert (error.code, "'ONESHOT_OPTIM__LR'" in error.message) == ("E101", True)
    assert "Did you mean 'ONESHOT_OFFLINE'?" in refused([], {"ONESHOT_OFLINE": "1"}).message
    assert "ONESHOT_OPTIM__LR: optim.lr = 'x' is not a number." in refused([], {"ONESHOT_OPTIM__LR": "x"}).message
    assert load([], {"ONESHOT_HOME": "/x", "ONESHOT_CI": "1", "ONESHOT_OFFLINE": "1"}, {}).config == Config()


def test_keys_the_algorithm_owns_become_options(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", "[algorithm]\nname = 'dapo'\nclip_low = 0.1\nkl = 0\nbaseline = 'group'\n")
    env = {"ONESHOT_ALGORITHM__CLIP_HIGH": "0.3"}
    resolved = load([path], env, {"algorithm.clip_low": "0.25", "algorithm.whiten": "false", "algorithm.epochs": "4"})
    assert resolved.config.algorithm.options == {
        "clip_low": 0.25,
        "baseline": "group",
        "clip_high": 0.3,
        "whiten": False,
        "epochs": 4,
    }
    assert resolved.config.algorithm.kl == 0.0
    assert resolved.origins["algorithm.clip_low"] == "flag --algorithm.clip-low"
    assert resolved.origins["algorithm.clip_high"] == "environment ONESHOT_ALGORITHM__CLIP_HIGH"
    assert resolved.origins["algorithm.baseline"] == f"file {path}:5"


def test_a_misspelt_shared_key_is_no_option() -> None:
    error = refused([], flags={"algorithm.entropi": "0.1"})
    assert error.code == "E101"
    assert "'--algorithm.entropy'" in error.message


def test_find_recipe_prefers_a_file_and_knows_the_shipped_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.toml", TOML)
    assert find_recipe(str(path)) == path
    assert find_recipe("paper/qwen2.5-math-1.5b-pi1").name == "qwen2.5-math-1.5b-pi1.toml"
    assert find_recipe("demo.toml").name == "demo.toml"
    with pytest.raises(UsageError, match="Did you mean the recipe 'demo'") as caught:
        find_recipe("demoo")
    assert caught.value.code == "E106"
