"""Files, environment and flags to one checked `Config`. Strict: nothing unknown is ignored, nothing is guessed.

Precedence: flag > environment > files left to right > defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources.abc import Traversable
from typing import Any

from oneshot.config.checks import INSTEAD, REFUSED, check
from oneshot.config.environment import NOT_SETTINGS
from oneshot.config.names import KEYS, SECTIONS, closest, closest_key, flag, hint, variable
from oneshot.config.origins import DEFAULT, Resolved
from oneshot.config.schema import Config
from oneshot.config.sources import Setting, find_recipe, flatten, read
from oneshot.errors import UsageError

__all__ = ["Resolved", "find_recipe", "from_dict", "load", "resolve", "to_dict"]

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
CURRICULUM = ("data", "curriculum_options")
"""The table of the curriculum's own keywords; their names and types are checked against it later."""
_KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def load(files: Sequence[Traversable], env: Mapping[str, str], flags: Mapping[str, str]) -> Resolved:
    """The configuration of one command.

    Args:
        files: recipes, TOML or YAML; a later one wins.
        env: the environment; only `ONESHOT_*` is read.
        flags: dotted key -> text as typed. `algorithm.NAME` that is no shared key is an option of the algorithm, and
            `data.curriculum_options.NAME` one of the curriculum.

    Raises:
        UsageError: E101 unknown key, E103 wrong type or out of range, E105 contradiction, E106 unreadable file;
            the message names the file with its line, the variable or the flag.
    """
    settings = [setting for file in files for setting in read(file)]
    settings += _from_environment(env)
    settings += [
        Setting(path=tuple(key.split(".")), value=value, origin=f"flag {flag(key)}", where=flag(key), text=True)
        for key, value in flags.items()
    ]
    return resolve(settings)


def resolve(settings: Iterable[Setting]) -> Resolved:
    """The configuration of settings that were read, a later one wins. Errors as of `load`, each with its `where`."""
    resolved = _assemble(settings)
    check(resolved)
    return resolved


def to_dict(config: Config) -> dict[str, Any]:
    """The whole configuration as JSON-able nested dicts; `from_dict` is its inverse."""
    return asdict(config)


def from_dict(mapping: Mapping[str, Any], *, where: str = "config.json") -> Config:
    """The configuration of a run folder's `config.json`. Keys it lacks get their defaults.

    Raises:
        UsageError: E101 and E103 as in `load`, with `where` in the message.
    """
    settings = [Setting(path=p, value=v, origin=f"file {where}", where=where) for p, v in flatten(mapping)]
    return resolve(settings).config


def _from_environment(env: Mapping[str, str]) -> Iterable[Setting]:
    """Settings of all `ONESHOT_*` variables, sorted; one that is neither a key nor ours otherwise is refused."""
    for name in sorted(env):
        if not name.startswith("ONESHOT_") or name in NOT_SETTINGS:
            continue
        path = tuple(name.removeprefix("ONESHOT_").lower().split("__"))
        if len(path) == 1 and path[0] not in KEYS:
            near = closest(name, [*NOT_SETTINGS, *map(variable, KEYS)])
            raise UsageError(f"unknown variable {name}.{_hint(near)}", code="E101")
        yield Setting(path=path, value=env[name], origin=f"environment {name}", where=name, text=True)


def _assemble(settings: Iterable[Setting]) -> Resolved:
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    curriculum: dict[str, Any] = {}
    origins = dict.fromkeys(KEYS, DEFAULT)
    for setting in settings:
        path = _own_option(setting)
        if path:
            options[path] = guess(setting.value) if setting.text else setting.value
            origins[f"algorithm.{path}"] = setting.origin
        elif len(setting.path) == 3 and setting.path[:2] == CURRICULUM:
            curriculum[setting.path[2]] = guess(setting.value) if setting.text else setting.value
            origins[setting.key] = setting.origin
        elif setting.key in KEYS:
            values[setting.key] = _typed(setting, KEYS[setting.key])
            origins[setting.key] = setting.origin
        elif not _empty_section(setting):
            raise _unknown(setting)
    config = Config()
    for section in SECTIONS:
        own = {key.split(".")[1]: value for key, value in values.items() if key.startswith(f"{section}.")}
        if section == "algorithm" and options:
            own["options"] = options
        if section == "data" and curriculum:
            own["curriculum_options"] = curriculum
        if own:
            config = replace(config, **{section: replace(getattr(config, section), **own)})
    plain = {key: value for key, value in values.items() if "." not in key}
    return Resolved(config=replace(config, **plain), origins=origins)


def _own_option(setting: Setting) -> str:
    """The name of an algorithm's own option, or "". Its spelling and type are checked against the algorithm later.

    A key that is nearly a shared one is taken for a misspelt shared key, since the algorithm could not suggest that.
    """
    path = setting.path
    if path[:2] == ("algorithm", "options") and len(path) == 3:
        return path[2]
    if len(path) != 2 or path[0] != "algorithm" or setting.key in KEYS or path[1] in REFUSED:
        return ""
    shared = [key.split(".")[1] for key in KEYS if key.startswith("algorithm.")]
    return "" if path[1] == "options" or closest(path[1], shared, cutoff=0.8) else path[1]


def _empty_section(setting: Setting) -> bool:
    known = setting.path in [*((section,) for section in SECTIONS), ("algorithm", "options"), CURRICULUM]
    if known and setting.value != {}:
        raise UsageError(f"{setting.where}: {setting.key} is a section, not a value.", code="E103")
    return known


def _unknown(setting: Setting) -> UsageError:
    last = setting.path[-1]
    if last in REFUSED:
        said = f"{setting.where}: {setting.key} is refused: {REFUSED[last]}."
        return UsageError(said, code="E105", tries=INSTEAD)
    if setting.value == {} and len(setting.path) == 1:
        return UsageError(f"{setting.where}: unknown section {last}.{_hint(closest(last, SECTIONS))}", code="E101")
    if said := hint(setting.key):
        return UsageError(f"{setting.where}: unknown key {setting.key}.{said}", code="E101")
    near = closest_key(setting.key)
    if near and setting.origin.startswith("environment"):
        near = variable(near)
    elif near and setting.origin.startswith("flag"):
        near = flag(near)
    what = f"unknown key {setting.key}" if setting.where != flag(setting.key) else "unknown setting"
    return UsageError(f"{setting.where}: {what}.{_hint(near)}", code="E101")


def _hint(near: str) -> str:
    return f" Did you mean {near!r}?" if near else ""


def _typed(setting: Setting, kind: type) -> Any:
    """The value as the schema's type; text is read, anything else must have it (a whole number may be a number)."""
    value = setting.value
    if setting.text and isinstance(value, str) and kind is not str:
        try:
            return _WORDS[value.strip().lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            pass
    elif type(value) is kind:
        return value
    elif kind is float and type(value) is int:
        return float(value)
    raise UsageError(f"{setting.where}: {setting.key} = {value!r} is not {_KINDS[kind]}.", code="E103")


def guess(text: str) -> Any:
    """Text of an option whose type is not known here: true/false, a whole number, a number, else the text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
