from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.load import load
from oneshot.errors import UsageError


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_recipe_stands_on_another_and_wins(tmp_path: Path) -> None:
    base = write(tmp_path, "base.toml", "[optim]\nlr = 1e-4\nsteps = 7\n")
    top = write(tmp_path, "top.toml", f'extends = "{base}"\n[optim]\nsteps = 9\n')
    resolved = load([top], {}, {})
    assert (resolved.config.optim.lr, resolved.config.optim.steps) == (1e-4, 9)
    assert resolved.origins["optim.lr"].endswith("base.toml:2")
    assert resolved.origins["optim.steps"].endswith("top.toml:3")


def test_where_extends_stands_does_not_matter(tmp_path: Path) -> None:
    base = write(tmp_path, "base.yaml", "optim:\n  steps: 7\n")
    top = write(tmp_path, "top.yaml", f"optim:\n  steps: 9\nextends: {base}\n")
    assert load([top], {}, {}).config.optim.steps == 9


def test_a_shipped_recipe_can_be_extended(tmp_path: Path) -> None:
    top = write(tmp_path, "top.toml", 'extends = "demo"\nseed = 5\n')
    resolved = load([top], {}, {})
    assert (resolved.config.seed, resolved.config.reward.name) == (5, "number")


def test_a_missing_one_is_named_with_the_line_that_asks_for_it(tmp_path: Path) -> None:
    top = write(tmp_path, "top.toml", '# mine\nextends = "dem"\n')
    with pytest.raises(UsageError, match=r"top\.toml line 2: extends: no file and no recipe 'dem'.*'demo'") as caught:
        load([top], {}, {})
    assert caught.value.code == "E106"


def test_a_circle_is_refused(tmp_path: Path) -> None:
    top = tmp_path / "top.toml"
    write(tmp_path, "top.toml", f'extends = "{top}"\n')
    with pytest.raises(UsageError, match="goes in circles") as caught:
        load([top], {}, {})
    assert caught.value.code == "E106"
