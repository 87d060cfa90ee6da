"""`oneshot recipes list|show NAME|copy NAME DEST`, studies too. Standard library only: works before any install."""

from __future__ import annotations

import json
from importlib.resources.abc import Traversable
from pathlib import Path

from oneshot.config.load import load
from oneshot.config.names import closest
from oneshot.config.request import Request
from oneshot.config.sources import shipped_recipes, shipped_studies
from oneshot.errors import UsageError

ACTIONS = ("list", "show", "copy")


def main(request: Request) -> int:
    """Do one action; text or, with `--json`, one object on stdout.

    Raises:
        UsageError: E102 unknown action or recipe, E103 a word missing, E104 the copy would replace a file.
    """
    action, *rest = request.positional
    if action not in ACTIONS:
        near = closest(action, ACTIONS)
        hint = f" Did you mean {near!r}?" if near else ""
        raise UsageError(f"unknown action {action!r}.{hint} Known: {', '.join(ACTIONS)}.", code="E102")
    wanted = ACTIONS.index(action)  # list takes no word, show one, copy two
    if len(rest) != wanted:
        usage = ("oneshot recipes list", "oneshot recipes show NAME", "oneshot recipes copy NAME DEST")[wanted]
        raise UsageError(f"recipes {action} takes {wanted} more words, got {len(rest)}.", code="E103", tries=(usage,))
    if action == "list":
        told, text = _list()
    elif action == "show":
        shown = _find(rest[0]).read_text(encoding="utf-8")
        told, text = {"schema": "oneshot.recipe/1", "name": rest[0], "text": shown}, shown.rstrip()
    else:
        written = _copy(rest[0], Path(rest[1]).expanduser())
        told, text = {"schema": "oneshot.copied/1", "name": rest[0], "path": str(written)}, f"wrote {written}"
    print(json.dumps(told) if request.json else text)
    return 0


def title(text: str) -> str:
    """A recipe's first comment line, which says what it is."""
    return text.partition("\n")[0].lstrip("# ")


def _list() -> tuple[dict[str, object], str]:
    rows = []
    for name, file in shipped_recipes().items():
        text = file.read_text(encoding="utf-8")
        model = load([file], {}, {}).config.model.name
        rows.append({"name": name, "model": model, "title": title(text)})
    studies = [
        {"name": name, "title": title(file.read_text(encoding="utf-8"))} for name, file in shipped_studies().items()
    ]
    width = max(len(row["name"]) for row in (*rows, *studies))
    lines = [f"{row['name']:<{width}}  {row['title']}" for row in (*rows, *studies)]
    return {"schema": "oneshot.recipes/1", "recipes": rows, "studies": studies}, "\n".join(lines)


def _find(name: str) -> Traversable:
    """A shipped recipe or study, by name alone: a file of the same name in this folder is not looked at."""
    recipes = {**shipped_recipes(), **shipped_studies()}
    if name not in recipes:
        near = closest(name, recipes)
        hint = f" Did you mean {near!r}?" if near else ""
        raise UsageError(f"unknown recipe {name!r}.{hint}", code="E102", tries=("oneshot recipes list",))
    return recipes[name]


def _copy(name: str, dest: Path) -> Path:
    """Write it to a new file, or into a folder under its own name; a file that is there is never replaced."""
    source = _find(name)
    target = dest / source.name if dest.is_dir() else dest
    try:
        with open(target, "x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise UsageError(
            f"{target} exists already.",
            code="E104",
            tries=(f"oneshot recipes copy {name} OTHER.toml", f"rm {target}   (if it is not needed)"),
            kept="Nothing was written.",
        ) from error
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error}", code="E106") from error
    return target
