"""A study file: one claim, the arms that test it, and the seeds. Strict: nothing unknown is ignored. Loads no torch.

name = "entropy"                      # the folder is <runs>/study-entropy
claim = "Without the entropy term less is learned."
baseline = "shuffled"                 # every arm is compared with it
contrast = [["full", "without"]]      # pairs that are compared beside it
seeds = [0, 1, 2]
[base]                                # common to all arms
recipe = "demo"                       # a recipe, if any; sections follow, as in a recipe
optim.steps = 12
[[arm]]
name = "without"
set = { "algorithm.entropy" = 0.0 }
paper = "MATH500 70.8 (Table 5, row 4)"   # shown beside, compared with nothing
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from oneshot.config.names import closest
from oneshot.config.sources import Setting, find_recipe, flatten, read
from oneshot.errors import UsageError
from oneshot.stages.studies.lines import Lines, Types

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,39}")
_TEXT, _LIST, _TABLE, _COUNT, _FLAG = (str,), (list,), (dict,), (int,), (bool,)
TOP: Types = {
    "name": _TEXT, "claim": _TEXT, "baseline": _TEXT, "contrast": _LIST, "primary": _LIST, "seeds": _LIST,
    "base": (dict, str),
    "arm": _LIST, "example": _LIST, "examples": _COUNT, "test_per_kind": _COUNT, "keep_weights": _FLAG,
}  # fmt: skip
"""Keys of a study and their types."""
ARM: Types = {"name": _TEXT, "set": _TABLE, "paper": _TEXT, "examples": _COUNT}
"""Keys of an `[[arm]]`."""
EXAMPLE: Types = {"id": _TEXT, "prompt": _TEXT, "answer": _TEXT, "category": _TEXT, "kind": _TEXT}
"""Keys of an `[[example]]`. `kind` is the built-in task's, whose dev set then has more problems of it."""
WRITTEN = "study"
"""How the origin of a setting begins that stands in the study file itself, and not in a recipe below it."""
NEEDED = ("name", "claim", "baseline", "seeds", "arm")
SAME = ("seed", "evals", "save", "model.threads")
"""What arms must share: seeds are the study's, and arms that are read otherwise cannot be compared."""
DECIDED: Mapping[str, str] = {
    "seed": "seeds = [0, 1, 2]   (above [base])",
    "save.runs": "oneshot study FILE --out FOLDER",
    "save.name": "oneshot study FILE --name NAME",
}
"""Settings that the study gives every cell itself -> how they are asked for."""


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    """One arm as it is written."""

    name: str
    settings: tuple[Setting, ...] = ()
    """Its own settings, beside those of the base."""
    paper: str = ""
    """What the paper reports for it."""
    examples: int = 0
    """Trains on the first so many `[[example]]`s; 0: on the study's number of them."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as it is written; names are checked, settings are not resolved."""

    name: str
    claim: str
    baseline: str
    contrasts: tuple[tuple[str, str], ...]
    """(arm, against) pairs that are compared beside the baseline."""
    primary: tuple[tuple[str, str], ...]
    """(arm, against) pairs that are claimed; all others are described. Empty: every pair is claimed."""
    seeds: tuple[int, ...]
    base: tuple[Setting, ...]
    arms: tuple[ArmSpec, ...]
    examples: tuple[Mapping[str, str], ...] = ()
    """What arms train on; empty: what `[data]` of their settings names."""
    count: int = 1
    """How many of them an arm trains on that does not say."""
    test_per_kind: int = 0
    """Problems of each kind of the built-in task's test split that every cell reads; 0: what `[evals]` names."""
    keep_weights: bool = True
    """False: checkpoints of a finished cell are deleted; everything that was measured stays."""
    file: str = ""
    asked: str = ""
    """The file as the command named it, for a line to paste."""


def read_study(file: Traversable, asked: str = "") -> Study:
    """The study of a TOML file, which the command called `asked`.

    Raises:
        UsageError: E101 an unknown key, with the nearest; E102 a baseline or contrast that is no arm; E103 a value
            missing, twice or of the wrong type; E105 arms that would be read otherwise, or a setting in `[base]` that
            the study decides; E106 no TOML.
    """
    name = file.name
    try:
        text = file.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}", code="E106") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not valid TOML: {error}", code="E106") from error
    lines = Lines.of(name, text)
    lines.check(table, TOP)
    for key in NEEDED:
        if table.get(key) in (None, "", []):
            raise UsageError(f"{name}: the study has no {key}.", code="E103", tries=("oneshot recipes list",))
    arms = tuple(_arm(i, given, lines) for i, given in enumerate(table["arm"]))
    known = [arm.name for arm in arms]
    _check_values(table, lines, known)
    return Study(
        name=table["name"],
        claim=" ".join(table["claim"].split()),
        baseline=_known(table["baseline"], known, f"{lines.at('baseline')}: baseline"),
        contrasts=_pairs(table.get("contrast", []), known, lines.at("contrast"), "contrast"),
        primary=_pairs(table.get("primary", []), known, lines.at("primary"), "primary"),
        seeds=_seeds(table["seeds"], lines.at("seeds")),
        base=tuple(_base(table.get("base", {}), lines)),
        arms=arms,
        examples=tuple(_example(i, given, lines) for i, given in enumerate(table.get("example", []))),
        count=table.get("examples", 1),
        test_per_kind=table.get("test_per_kind", 0),
        keep_weights=table.get("keep_weights", True),
        file=name,
        asked=asked,
    )


def _check_values(table: Mapping[str, Any], lines: Lines, known: Sequence[str]) -> None:
    for i, arm in enumerate(known):
        if arm in known[:i]:
            raise UsageError(f"{lines.at(f'arm {i}.name')}: there are two arms {arm!r}.", code="E103")
    for place, word in (("name", table["name"]), *((f"arm {i}.name", arm) for i, arm in enumerate(known))):
        if not _NAME.fullmatch(word):
            rule = "a name is one word of at most 40 letters, digits and + . _ -"
            raise UsageError(f"{lines.at(place)}: name = {word!r}: {rule}.", code="E103")
    for key, least in (("examples", 1), ("test_per_kind", 0)):
        if table.get(key, least) < least:
            raise UsageError(f"{lines.at(key)}: {key} = {table[key]} must be at least {least}.", code="E103")
    there = len(table.get("example", []))
    if table.get("examples", 0) > there:
        told = f"examples = {table['examples']}, but there are {there} [[example]]s"
        raise UsageError(f"{lines.at('examples')}: {told}.", code="E103")
    for i, arm in enumerate(table["arm"]):
        if not 0 <= arm.get("examples", 0) <= there:
            told = f"examples = {arm['examples']}, but there are {there} [[example]]s"
            raise UsageError(f"{lines.at(f'arm {i}.examples')}: {told}.", code="E103")


def _arm(number: int, given: Any, lines: Lines) -> ArmSpec:
    above = f"arm {number}."
    lines.check(given, ARM, above)
    if not given.get("name"):
        raise UsageError(f"{lines.at(above[:-1])}: an arm has no name.", code="E103")
    settings = tuple(_settings(given.get("set", {}), lines, f"{above}set."))
    for setting in settings:
        if setting.key in SAME or setting.path[0] in SAME:
            raise UsageError(
                f"{setting.where}: {setting.key} cannot differ between arms: they have the study's seeds and are read "
                "alike, or they could not be compared.",
                code="E105",
                tries=(DECIDED.get(setting.key, f"[base] {setting.key} = ...   (for all arms)"),),
            )
    return ArmSpec(
        name=given["name"], settings=settings, paper=given.get("paper", ""), examples=given.get("examples", 0)
    )


def _settings(table: Mapping[str, Any], lines: Lines, above: str) -> Iterator[Setting]:
    for path, value in flatten(table):
        key = ".".join(path)
        where = lines.at(above + key)
        yield Setting(path=tuple(key.split(".")), value=value, origin=f"{WRITTEN} {where}", where=where)


def _base(given: Any, lines: Lines) -> Iterator[Setting]:
    table = {"recipe": given} if isinstance(given, str) else given
    if recipe := table.get("recipe"):
        yield from read(find_recipe(str(recipe)))
    for setting in _settings({key: value for key, value in table.items() if key != "recipe"}, lines, "base."):
        if setting.key in DECIDED:
            raise UsageError(
                f"{setting.where}: {setting.key} in [base] would do nothing: the study gives every cell its seed, its "
                "folder and its name.",
                code="E105",
                tries=(DECIDED[setting.key],),
            )
        yield setting


def _example(number: int, given: Any, lines: Lines) -> Mapping[str, str]:
    above = f"example {number}."
    lines.check(given, EXAMPLE, above)
    for key in ("prompt", "answer"):
        if not given.get(key, "").strip():
            raise UsageError(f"{lines.at(above[:-1])}: an example has no {key}.", code="E103")
    return {"id": f"example-{number + 1}", **given}


def _known(word: str, arms: Sequence[str], where: str) -> str:
    if word not in arms:
        near = closest(word, arms)
        hint = f" Did you mean {near!r}?" if near else f" There are: {', '.join(arms)}."
        raise UsageError(f"{where} = {word!r} is no arm of the study.{hint}", code="E102")
    return word


def _pairs(given: Sequence[Any], arms: Sequence[str], where: str, key: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for pair in given:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)):
            raise UsageError(f'{where}: {key} is a list of pairs: [["arm", "against"]].', code="E103")
        one, two = (_known(word, arms, f"{where}: {key}") for word in pair)
        if one == two:
            raise UsageError(f"{where}: {key}: {one!r} against itself.", code="E103")
        pairs.append((one, two))
    return tuple(dict.fromkeys(pairs))


def _seeds(given: Sequence[Any], where: str) -> tuple[int, ...]:
    if not all(type(seed) is int and seed >= 0 for seed in given) or len(set(given)) < len(given):
        raise UsageError(f"{where}: seeds = {given!r} is not a list of different whole numbers.", code="E103")
    return tuple(given)
