"""`oneshot completion bash|zsh|fish`: a script made from the table of verbs. The script calls no Python when it runs.

What may follow a flag is one of: nothing (a switch), known names, files, folders, runs, or anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oneshot.cli import completion_shells
from oneshot.cli.verbs import COMMON, VERBS, Flag, shorts, uses
from oneshot.config.checks import CONTROLS, RULES
from oneshot.config.names import KEYS, flag
from oneshot.config.request import Request
from oneshot.config.sources import shipped_recipes, shipped_studies
from oneshot.errors import UsageError

ANY, FILES, FOLDERS, RUNS, WORDS = "any", "files", "folders", "runs", "words"
SHELLS = {"bash": completion_shells.bash, "zsh": completion_shells.zsh, "fish": completion_shells.fish}

GRADERS = (
    *("math", "math-lenient", "math-symbolic", "number", "choice", "exact"),
    *("paper-train", "paper-train-think", "paper-eval"),
)
ALGORITHMS = ("grpo", "dr_grpo", "dapo", "rloo", "reinforce_pp", "gspo", "cispo", "max_rl", "ppo")
CURRICULA = ("in-turn", "mopps", "gps", "pcl", "pairing", "sgac")
TASKS = (
    *("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench", "gsm8k", "math_beyond", "dsr_sub"),
    *("arc_easy", "arc_challenge", "builtin", "math6", "reasoning"),
)
TRACKERS = ("trackio", "wandb", "tensorboard", "mlflow")
EXPORTS = ("hf", "adapter", "merged", "gguf", "ollama", "verl")
_MODEL = "smollm2-135m"
"""Names of registries that are not imported for a script; a test compares them."""


@dataclass(frozen=True)
class Slot:
    """What may stand at one place."""

    kind: str
    words: tuple[str, ...] = ()
    """Offered beside what the kind finds."""


@dataclass(frozen=True)
class Option:
    """One flag of a verb."""

    name: str
    """With its dashes."""
    help: str
    slot: Slot | None
    """None for a switch."""
    short: str = ""
    """One letter, or none."""


@dataclass(frozen=True)
class Line:
    """What one verb takes."""

    verb: str
    help: str
    options: tuple[Option, ...]
    first: Slot
    """The first word that is no flag."""
    rest: Slot
    """Words after it."""


_SETTINGS: Mapping[str, Slot] = {
    "model.name": Slot(FOLDERS, (_MODEL,)),
    "model.lora_targets": Slot(WORDS, ("all-linear",)),
    "data.source": Slot(FILES, ("pi1", "builtin")),
    "data.curriculum": Slot(WORDS, CURRICULA),
    "reward.name": Slot(FILES, GRADERS),
    "reward.control": Slot(WORDS, CONTROLS),
    "algorithm.name": Slot(WORDS, ALGORITHMS),
    "evals.source": Slot(FILES, ("builtin",)),
    "evals.tasks": Slot(FILES, TASKS),
    "evals.data_dir": Slot(FOLDERS),
    "evals.grader": Slot(FILES, GRADERS),
    "save.runs": Slot(FOLDERS),
    "save.track": Slot(WORDS, TRACKERS),
}
_FLAGS: Mapping[tuple[str, str], Slot] = {
    ("eval", "checkpoints"): Slot(WORDS, ("last", "best", "all")),
    ("eval", "export"): Slot(WORDS, ("inspect", "lm-eval", "hub")),
    ("export", "to"): Slot(WORDS, EXPORTS),
    ("export", "gguf-type"): Slot(WORDS, ("auto", "f32", "f16", "bf16", "q8_0")),
    ("push", "to"): Slot(WORDS, ("hf", "merged", "adapter")),
    ("report", "figures"): Slot(WORDS, ("svg", "pdf")),
}
_ONE_OF = "must be one of: "


def main(request: Request) -> int:
    """Print the script of one shell.

    Raises:
        UsageError: E102 another shell.
    """
    (shell,) = request.positional
    if shell not in SHELLS:
        tries = tuple(f"oneshot completion {name}" for name in SHELLS)
        raise UsageError(f"unknown shell {shell!r}. Known: {', '.join(SHELLS)}.", code="E102", tries=tries)
    text = script(shell)
    print(json.dumps({"schema": "oneshot.completion/1", "shell": shell, "text": text}) if request.json else text)
    return 0


def script(shell: str) -> str:
    """The whole script."""
    return SHELLS[shell](lines()).rstrip()


def lines() -> list[Line]:
    """Every verb with what may follow."""
    return [_line(name) for name in VERBS]


def _line(name: str) -> Line:
    verb = VERBS[name]
    slots = [_place(word) for word in verb.positional] or [Slot(ANY)]
    slots = [*slots, slots[0]] if len(slots) == 1 else slots  # a flag may stand before the only word
    return Line(verb=name, help=verb.help, options=tuple(_options(name)), first=slots[0], rest=_together(slots[1:]))


def _together(slots: list[Slot]) -> Slot:
    """What may stand at any of several places; where flags stand between words, their number is not known."""
    kind = next((slot.kind for slot in slots if slot.kind not in (ANY, WORDS)), slots[0].kind)
    return Slot(kind, tuple(word for slot in slots for word in slot.words))


def _options(name: str) -> Iterator[Option]:
    """Own flags, those of every verb, short names, then settings by their full names."""
    verb = VERBS[name]
    for own in (*verb.flags, *COMMON):
        yield Option(name=f"--{own.name}", help=own.help, slot=_of_flag(name, own), short=own.short)
    short = shorts(verb)
    for word, key in short.items():
        yield Option(name=f"--{word}", help=key, slot=_of_setting(key))
    for key in KEYS:
        if uses(verb, key) and key not in short:
            yield Option(name=flag(key), help=key, slot=_of_setting(key))


def _of_flag(verb: str, found: Flag) -> Slot | None:
    if not found.value:
        return None
    if found.name == "config":
        return Slot(FILES, tuple(shipped_recipes()))
    if found.name == "grader":
        return Slot(FILES, GRADERS)
    return _FLAGS.get((verb, found.name)) or _place(found.value)


def _of_setting(key: str) -> Slot:
    if key in _SETTINGS:
        return _SETTINGS[key]
    if KEYS[key] is bool:
        return Slot(WORDS, ("true", "false"))
    rule = RULES[key][1] if key in RULES else ""
    names = rule.removeprefix(_ONE_OF).split(", ") if rule.startswith(_ONE_OF) else []
    return Slot(WORDS, tuple(name for name in names if name != '""')) if names else Slot(ANY)


def _place(word: str) -> Slot:
    """What a word of the help stands for: `RUN`, `FILE.jsonl`, `list|show|copy`."""
    if word in ("[NAME]",):
        return Slot(WORDS, (*shipped_recipes(), *shipped_studies()))
    if "TASK|SUITE" in word:
        return Slot(FOLDERS, (_MODEL, *TASKS))
    if word == "REWARD":
        return Slot(FILES, GRADERS)
    if word == "FILE.toml":
        return Slot(FILES, tuple(shipped_studies()))
    if "RUN" in word or word in ("A", "[B ...]", "CONTROL"):
        return Slot(RUNS, ("latest", *((_MODEL,) if "MODEL" in word else ())))
    if any(part in word for part in ("FILE", "POOL", "DEST")):
        return Slot(FILES)
    if "DIR" in word:
        return Slot(FOLDERS)
    return Slot(WORDS, tuple(word.split("|"))) if "|" in word and word.islower() else Slot(ANY)
