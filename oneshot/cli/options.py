"""argv to a `Request`: names are resolved here, values are typed by `oneshot.config.load`.

The pass over argv is our own because one name may be a setting, its short form, another tool's name, or an option of
an algorithm that is not loaded yet; and because a misspelt one must answer like every other error of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oneshot.cli.verbs import COMMON, SHORT, VERBS, Flag, Verb, shorts, uses
from oneshot.config.checks import INSTEAD, REFUSED
from oneshot.config.environment import environment, offline
from oneshot.config.load import find_recipe, load
from oneshot.config.names import ALIASES, KEYS, TRUTH, closest, flag, hint
from oneshot.config.origins import Resolved
from oneshot.config.request import Request
from oneshot.config.sources import shipped_recipes
from oneshot.errors import UsageError


@dataclass
class Parsed:
    """What the words of one command say, before any file is opened."""

    verb: str
    positional: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """Dotted key -> text."""
    flags: dict[str, list[str]] = field(default_factory=dict)
    """Flags that are no settings -> their values; a switch has an empty list."""
    notes: list[str] = field(default_factory=list)


def parse(argv: tuple[str, ...]) -> Parsed:
    """Sort the words after `oneshot` into verb, flags and the rest. Opens no file.

    Raises:
        UsageError: E102 unknown verb, E101 unknown flag, E103 a value missing or a word too many.
    """
    name = argv[0]
    if name not in VERBS:
        near = closest(name, VERBS)
        hint = f" Did you mean {near!r}?" if near else ""
        known = " The verb comes first." if name.startswith("-") else f" Known: {', '.join(VERBS)}."
        raise UsageError(f"unknown verb {name!r}.{hint}{known}", code="E102", tries=("oneshot --help",))
    words = _Words(name, list(argv[1:]))
    while words.left:
        words.take()
    if "help" not in words.out.flags:
        _check_positional(words.out)
    return words.out


class _Words:
    """The words still to be read and what was read from them."""

    def __init__(self, name: str, words: list[str]) -> None:
        self.verb: Verb = VERBS[name]
        self.left = words
        self.out = Parsed(verb=name)
        self._flags: dict[str, Flag] = {f.name: f for f in (*self.verb.flags, *COMMON)}
        self._letters = {f"-{f.short}": f for f in COMMON if f.short}

    def take(self) -> None:
        """Read one flag with its value, or one other word."""
        word = self.left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        given = value if equals else None
        if word == "--":
            self.out.positional += self.left
            self.left = []
        elif word in self._letters:
            self._flag(word, self._letters[word], None)
        elif word.startswith("--") and name in self._flags:
            self._flag(f"--{name}", self._flags[name], given)
        elif word.startswith("--"):
            self._setting(name, given)
        elif len(word) > 1 and word.startswith("-") and not _number(word):
            raise self._unknown(word)
        elif equals and "." in name and (name in ALIASES or hint(name)):
            self._setting(name, given)  # Hydra's way, as in verl's scripts: no dashes
        else:
            self.out.positional.append(word)

    def _flag(self, spelled: str, found: Flag, given: str | None) -> None:
        values = self.out.flags.setdefault(found.name, [])
        if not found.value:
            if given is not None:
                raise UsageError(f"{spelled} takes no value, got {given!r}.", code="E103")
        elif found.name == "config":
            self.out.files.append(self._value(spelled, given))
        elif found.default and given is None and not self._value_follows():
            values.append(found.default)
        else:
            values.append(self._value(spelled, given))

    def _setting(self, name: str, given: str | None) -> None:
        key = self._key(name)
        if KEYS.get(key) is bool and given is None:
            follows = bool(self.left) and self.left[0].lower() in TRUTH
            given = self.left.pop(0) if follows else "true"
        self.out.settings[key] = self._value(f"--{name}", given)

    def _key(self, name: str) -> str:
        """The dotted key of a flag that is a setting, in any of its spellings."""
        plain = name.replace("-", "_")
        short = {**SHORT, **self.verb.short}.get(plain.replace("_", "-"))
        key = short or (plain if plain in KEYS else ALIASES.get(plain, plain))
        if key != plain and not short:
            self.out.notes.append(f"{name} is called {flag(key)} here")
        section, _, rest = key.partition(".")
        option = (section == "algorithm" and bool(rest)) or key.startswith("data.curriculum_options.")
        if rest in REFUSED or key in REFUSED:
            raise UsageError(f"--{name} is refused: {REFUSED[rest or key]}.", code="E105", tries=INSTEAD)
        if key not in KEYS and not option:
            raise self._unknown(f"--{name}")
        if not uses(self.verb, key):
            others = ", ".join(v for v, verb in VERBS.items() if uses(verb, key))
            raise UsageError(
                f"oneshot {self.out.verb} does not use --{name}. It belongs to: {others}.",
                code="E101",
                tries=(f"oneshot {self.out.verb} --help",),
            )
        return key

    def _value(self, spelled: str, given: str | None) -> str:
        if given is not None:
            return given
        if not self._value_follows():
            raise UsageError(f"{spelled} needs a value.", code="E103", tries=(f"oneshot {self.out.verb} --help",))
        return self.left.pop(0)

    def _value_follows(self) -> bool:
        return bool(self.left) and not self.left[0].startswith("--") and self.left[0] not in self._letters

    def _unknown(self, word: str) -> UsageError:
        keys = [key for key in KEYS if uses(self.verb, key)]
        spelled = {alias: flag(key) for alias, key in ALIASES.items() if key in keys}
        spelled |= {key: flag(key) for key in keys}
        spelled |= {name: f"--{name}" for name in (*self._flags, *shorts(self.verb))}
        plain = word.lstrip("-").replace("-", "_")
        same = [key for key in keys if key.rpartition(".")[2] == plain.rpartition(".")[2]]
        near = spelled.get(same[0] if len(same) == 1 else closest(plain, spelled), "")
        way = hint(plain) or (f" Did you mean {near!r}?" if near else "")
        message = f"oneshot {self.out.verb} has no flag {word!r}.{way}"
        return UsageError(message, code="E101", tries=(f"oneshot {self.out.verb} --help",))


def _check_positional(parsed: Parsed) -> None:
    """Refuse a missing or a surplus word."""
    takes = VERBS[parsed.verb].positional
    needed = [name for name in takes if not name.startswith("[")]
    tries = (f"oneshot {parsed.verb} --help",)
    if len(parsed.positional) < len(needed):
        raise UsageError(f"oneshot {parsed.verb} needs {needed[len(parsed.positional)]}.", code="E103", tries=tries)
    if len(parsed.positional) > len(takes) and not (takes and takes[-1].endswith("...]")):
        surplus = parsed.positional[len(takes)]
        raise UsageError(f"oneshot {parsed.verb}: {surplus!r} is one word too many.", code="E103", tries=tries)


def resolve(parsed: Parsed, env: Mapping[str, str]) -> Resolved:
    """Read the recipes of a command and apply environment and flags."""
    base = VERBS[parsed.verb].base
    files = [shipped_recipes()[base]] if base else []
    return load([*files, *map(find_recipe, parsed.files)], env, parsed.settings)


def request(parsed: Parsed, argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> Request:
    """The whole request of a parsed command."""
    env = environment(env)
    resolved = resolve(parsed, env)
    common = {f.name for f in COMMON}
    own: dict[str, Any] = {
        name.replace("-", "_"): values[-1] if values else True
        for name, values in parsed.flags.items()
        if name not in common and name != "dry-run"
    }
    if "fail-under" in parsed.flags:
        own["fail_under"] = _thresholds(parsed.flags["fail-under"])
    return Request(
        verb=parsed.verb,
        positional=tuple(parsed.positional),
        config=resolved.config,
        origins=resolved.origins,
        verb_flags=own,
        json="json" in parsed.flags,
        quiet="quiet" in parsed.flags,
        verbose="verbose" in parsed.flags,
        yes="yes" in parsed.flags,
        offline="offline" in parsed.flags or offline(env),
        dry_run="dry-run" in parsed.flags,
        argv=argv,
    )


def _thresholds(values: list[str]) -> dict[str, float]:
    """`["0.5", "math500=0.66"]` -> `{"": 0.5, "math500": 0.66}`; each within 0 and 1."""
    found: dict[str, float] = {}
    for value in values:
        task, _, text = value.rpartition("=")
        if not _number(text) or not 0 <= float(text) <= 1:
            raise UsageError(f"--fail-under {value}: {text!r} is not an accuracy between 0 and 1.", code="E103")
        found[task] = float(text)
    return found


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
