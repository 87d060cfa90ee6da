"""Recipe files to settings with their line numbers: TOML (standard library), YAML (read when a file asks for it)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from oneshot.config.names import closest
from oneshot.errors import MachineError, UsageError

KeyPath = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value that some source gives to one key."""

    path: KeyPath
    """The key's parts, e.g. `("optim", "lr")`."""
    value: Any
    origin: str
    """As in `Resolved.origins`."""
    where: str
    """The same for the head of an error message: `recipe.toml line 12`."""
    text: bool = False
    """The value is text whose type the schema decides (a flag, a variable, an unquoted YAML scalar)."""

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


STUDIES = "paper/studies/"
"""Where the studies of this package lie; they are no recipes."""


def shipped_recipes() -> dict[str, Traversable]:
    """Name -> file of every recipe inside the package, e.g. `paper/qwen2.5-math-1.5b-pi1`; sorted by name."""
    return {name: file for name, file in _shipped().items() if not name.startswith(STUDIES)}


def shipped_studies() -> dict[str, Traversable]:
    """Name -> file of every study inside the package, e.g. `paper/studies/loss-ablation-cpu`; sorted by name."""
    return {name: file for name, file in _shipped().items() if name.startswith(STUDIES)}


def _shipped() -> dict[str, Traversable]:
    return {name: file for name, file in sorted(_walk(files("oneshot") / "recipes")) if file.name.endswith(".toml")}


def find_recipe(name: str) -> Traversable:
    """The file that `-c NAME` means: a path, else a recipe of this package (with or without `.toml`).

    Raises:
        UsageError: E106, with the nearest recipe.
    """
    return _find(name, "recipe", shipped_recipes())


def find_study(name: str) -> Traversable:
    """The file that `oneshot study NAME` means: a path, else a study of this package. `UsageError` E106."""
    return _find(name, "study", shipped_studies())


def _find(name: str, what: str, shipped: Mapping[str, Traversable]) -> Traversable:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    found = shipped.get(name.removesuffix(".toml"))
    if found is None:
        near = closest(name, shipped)
        hint = f" Did you mean the {what} {near!r}?" if near else ""
        raise UsageError(f"no file and no {what} {name!r}.{hint}", code="E106", tries=("oneshot recipes list",))
    return found


MAX_EXTENDS = 8
"""Recipes a recipe may stand on, one upon the other."""


def read(file: Traversable, above: tuple[str, ...] = ()) -> list[Setting]:
    """Every setting of a recipe file, in its order, after those of the recipe that its `extends` names.

    Args:
        file: TOML or YAML.
        above: names of the recipes that extend this one.

    Raises:
        UsageError: E106 when it is missing, no UTF-8 text, or no TOML or YAML.
        MachineError: E204 for a YAML file without pyyaml.
    """
    name = _display(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}", code="E106") from error
    leaves = _yaml(text, name) if file.name.endswith((".yaml", ".yml")) else _toml(text, name)
    base: list[Setting] = []
    own: list[Setting] = []
    for path, value, line, plain in leaves:
        where = f"{name} line {line}"
        if path == ("extends",):
            base = _extended(str(value), where, (*above, name))
        else:
            own.append(Setting(path=path, value=value, origin=f"file {name}:{line}", where=where, text=plain))
    return base + own


def _extended(recipe: str, where: str, above: tuple[str, ...]) -> list[Setting]:
    """The settings of the recipe a recipe stands on."""
    if len(above) > MAX_EXTENDS:
        raise UsageError(f"{where}: {' extends '.join(above[:3])} ... goes in circles.", code="E106")
    try:
        return read(find_recipe(recipe), above)
    except UsageError as error:
        if error.message.startswith(where):
            raise
        raise UsageError(f"{where}: extends: {error.message}", code=error.code, tries=error.tries) from error


Leaf = tuple[KeyPath, Any, int, bool]


def _toml(text: str, name: str) -> list[Leaf]:
    """Leaves of a TOML text. tomllib gives no line numbers, so each statement is also parsed by itself.

    An incomplete statement (an open array or multi-line string) never parses, so lines are added until it does.
    """
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not valid TOML: {error}", code="E106") from error
    leaves: list[Leaf] = []
    header, statement, start = "", "", 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start if statement else number
        statement += line + "\n"
        heading = statement.lstrip().startswith("[")
        try:
            alone = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if heading:
            header = statement
        if alone:
            table = alone if heading else tomllib.loads(header + statement)
            leaves += [(path, value, start, False) for path, value in flatten(table)]
        statement = ""
    return leaves


def flatten(table: Mapping[str, Any], above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """(path, value) of everything that is not a table; an empty table is a leaf."""
    for key, value in table.items():
        path = (*above, str(key))
        if isinstance(value, Mapping) and value:
            yield from flatten(value, path)
        else:
            yield path, value


def _yaml(text: str, name: str) -> list[Leaf]:
    """Leaves of a YAML text. Unquoted scalars stay text, so that `1e-6` is a number, `no` a word and `0755` is 755."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MachineError(
            f"{name} is YAML, which needs the package pyyaml.", code="E204", tries=("python -m pip install pyyaml",)
        ) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{name} is not valid YAML: {error}", code="E106") from error
    if node is not None and node.id != "mapping":
        raise UsageError(f"{name} must hold sections with keys, like `optim: {{lr: 1e-6}}`.", code="E106")
    return [] if node is None else list(_yaml_leaves(node, (), name))


def _yaml_leaves(node: Any, above: KeyPath, name: str) -> Iterator[Leaf]:
    line = node.start_mark.line + 1
    if node.id == "scalar":
        empty = node.tag.endswith(":null")
        yield above, None if empty else node.value, line, node.style is None and not empty
    elif node.id == "sequence" or (not node.value and above):
        yield above, [] if node.id == "sequence" else {}, line, False
    else:
        seen: set[str] = set()
        for key, value in node.value:
            at = key.start_mark.line + 1
            if key.id != "scalar" or key.value in seen:
                what = f"{key.value!r} stands twice" if key.id == "scalar" else "a key must be a word"
                raise UsageError(f"{name} line {at}: {what}.", code="E106")
            seen.add(key.value)
            for path, leaf, found, plain in _yaml_leaves(value, (*above, key.value), name):
                yield path, leaf, at if value.id != "mapping" else found, plain


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{above}{entry.name}/")
        else:
            yield above + entry.name.removesuffix(".toml"), entry


def _display(file: Traversable) -> str:
    """A file's name in messages: as typed, or relative to the recipes of this package."""
    text, root = str(file), str(files("oneshot") / "recipes")
    return text[len(root) + 1 :] if text.startswith(root) else text
