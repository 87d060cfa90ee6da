"""Write docs/cli.md, docs/config.md and docs/errors.md from the code; with `--check`, fail where they are stale.

Both times every `oneshot ...` command in README.md and in what is written for coding agents (`llms.txt`, the skill) is
read, and unknown verbs and flags are refused; of the latter also flags and links in the text, and verbs that it lacks.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from oneshot import errors  # noqa: E402
from oneshot.cli.main import PIPE_CLOSED  # noqa: E402
from oneshot.cli.options import parse  # noqa: E402
from oneshot.cli.verbs import COMMON, VERBS, Flag, Verb, shorts  # noqa: E402
from oneshot.config import schema  # noqa: E402
from oneshot.config.environment import NOT_SETTINGS  # noqa: E402
from oneshot.config.names import ALIASES, HINTS, KEYS, OPEN, flag, variable  # noqa: E402

MADE = "<!-- Made by tools/docs.py from the code (`make docs`). Edit the code, not this page. -->\n"
COMMANDS = ("oneshot", "oneshot-rlvr", ".venv/bin/oneshot")
INDEX = "llms.txt"
AGENTS = (INDEX, "skills/oneshot/SKILL.md")
"""What coding agents read."""


def cli_page() -> str:
    """Verbs, their flags and short names, what every verb takes, exit statuses."""
    lines = [MADE, "# Command line", ""]
    lines += _table(("verb", "what it does"), [(f"`oneshot {name}`", verb.help) for name, verb in VERBS.items()])
    lines += ["", "Every verb takes:", "", *_flags(COMMON), ""]
    for name, verb in VERBS.items():
        lines += [f"## oneshot {' '.join((name, *verb.positional))}", "", verb.help, ""]
        lines += [*_flags(verb.flags), ""] if verb.flags else []
        lines += _settings(verb)
    lines += ["## Exit status", "", *_table(("status", "meaning"), _statuses())]
    return "\n".join(lines).rstrip() + "\n"


def _flags(found: tuple[Flag, ...]) -> list[str]:
    return _table(("flag", "meaning"), [(f"`{f.usage}`", f.help) for f in found])


def _settings(verb: Verb) -> list[str]:
    if not verb.settings:
        return []
    lines = ["Settings it uses ([config.md](config.md)): " + ", ".join(f"`{s}`" for s in verb.settings) + "."]
    if verb.base:
        lines += [f"The shipped recipe `{verb.base}` is read before everything else."]
    short = [f"`--{word}` is `{flag(key)}`" for word, key in shorts(verb).items() if word != key]
    return [*lines, *(["Short names: " + ", ".join(short) + "."] if short else []), ""]


def _statuses() -> list[tuple[str, str]]:
    tree = [(kind.exit_code, kind.__doc__ or "") for kind in errors.OneshotError.__subclasses__()]
    rows = [(str(code), _sentence(doc, code)) for code, doc in tree if code > 1]
    ends = [("75", "Stopped by a signal after a checkpoint; run the same command again."), ("130", "Ctrl-C.")]
    ends += [(str(PIPE_CLOSED), "The program that read our output closed it.")]
    return [("0", "Done."), ("1", "Something of ours broke."), *rows, *ends]


def _sentence(doc: str, code: int) -> str:
    """The first line of an error class's docstring, without the status it starts with."""
    text = doc.partition("\n")[0].removeprefix(f"Exit {code}: ")
    return text[:1].upper() + text[1:]


def config_page() -> str:
    """Every key with its type, default and meaning; environment variables; names of other tools."""
    lines = [MADE, "# Configuration", ""]
    lines += ["A value comes from a flag, else the environment, else the files left to right (a later one wins), else"]
    lines += ["the default. `oneshot train --dry-run` prints each value with its origin. A key as a flag has hyphens"]
    lines += [
        f"(`{flag('rollout.group_size')} 8`), as a variable `__` for the dot (`{variable('rollout.group_size')}=8`)."
    ]
    lines += ["Files are TOML or YAML, one table a section. Keys of `[algorithm]` that are not listed here are the"]
    lines += ["algorithm's own keywords; `[data.curriculum_options]` holds the"]
    lines += ["curriculum's ([curricula.md](curricula.md)).", ""]
    own = [field for field in fields(schema.Config) if not is_dataclass(field.default)]
    docs = _field_docs(schema.Config)
    lines += _table(_HEAD, [(f"`{f.name}`", f"{f.type}", f"`{f.default!r}`", docs[f.name]) for f in own])
    for field in fields(schema.Config):
        if is_dataclass(field.default):
            kind = type(field.default)
            lines += ["", f"## [{field.name}]", "", inspect.getdoc(kind) or "", "", *_section(kind)]
    lines += ["", "## Variables that are no settings", ""]
    lines += _table(("variable", "meaning"), [(f"`{name}`", text) for name, text in NOT_SETTINGS.items()])
    lines += ["", "## Names of TRL and verl", "", "Taken as flags, with a note on stderr.", ""]
    lines += _table(("theirs", "ours"), [(f"`{theirs}`", f"`{ours}`") for theirs, ours in ALIASES.items()])
    lines += ["", "Refused with a hint, because their values mean something else here:", ""]
    lines += _table(("theirs", "here it is"), [(f"`{theirs}`", text) for theirs, text in HINTS.items()])
    return "\n".join(lines) + "\n"


_HEAD = ("key", "type", "default", "meaning")


def _section(kind: type) -> list[str]:
    docs = _field_docs(kind)
    rows = [(f"`{f.name}`", str(f.type), f"`{f.default!r}`", docs[f.name]) for f in fields(kind) if f.name not in OPEN]
    return _table(_HEAD, rows)


def _field_docs(kind: type) -> dict[str, str]:
    """Field -> the string under it in the source, which is its help text."""
    body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def errors_page() -> str:
    """Every code with its branch of the tree and exit status."""
    lines = [MADE, "# Error codes", "", "A message gives the code, the value, the rule, and lines to paste.", ""]
    branches = {kind.default_code[:2]: kind for kind in errors.OneshotError.__subclasses__() if kind.exit_code > 1}
    rows = []
    for code, text in errors.CODES.items():
        kind = branches[code[:2]]
        rows.append((code, f"`{kind.__name__}`", str(kind.exit_code), text))
    return "\n".join([*lines, *_table(("code", "error", "exit", "meaning"), rows)]) + "\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [head, tuple("---" for _ in head), *(tuple(c.replace("|", "\\|") for c in row) for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in cells]


PAGES = {"docs/cli.md": cli_page, "docs/config.md": config_page, "docs/errors.md": errors_page}


def commands(markdown: str) -> Iterator[tuple[int, str]]:
    """(line number, command) of every `oneshot` command in fenced code blocks; continued lines are joined."""
    fenced, waiting, start = False, "", 0
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced, waiting = not fenced, ""
            continue
        start = start if waiting else number
        text = waiting + line.strip().removeprefix("$ ")
        if fenced and text.endswith("\\"):
            waiting = text[:-1]
            continue
        waiting = ""
        if fenced and text.partition(" ")[0] in COMMANDS:
            yield start, text


def stale_commands(markdown: str) -> list[str]:
    """One line for every command of the text that the present verbs and flags would refuse."""
    return _refused(commands(markdown))


def inline(markdown: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of code inside lines, outside fenced blocks."""
    fenced = False
    for number, line in enumerate(markdown.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield from ((number, text) for text in re.findall(r"`([^`]+)`", line))


def stale_words(markdown: str) -> list[str]:
    """The same for commands, flags and links inside the lines of a text; a flag must be one of any verb."""
    code = list(inline(markdown))
    known = {f"--{name}" for verb in VERBS.values() for name in shorts(verb)} | {flag(key) for key in KEYS}
    known |= {f"--{found.name}" for verb in VERBS.values() for found in (*verb.flags, *COMMON)}
    flags = [(number, text.split()[0]) for number, text in code if text.startswith("--")]
    told = [f"line {number}: no verb has a flag {text}" for number, text in flags if text not in known]
    links = [link for link in re.findall(r"\]\(([^)#]+)", markdown) if "://" not in link]
    told += [f"there is no {link}" for link in links if not (ROOT / link).is_file()]
    mentions = [(number, f"{text} --help") for number, text in code if text.startswith("oneshot ")]
    return [*_refused(mentions), *told]  # with --help the words that a verb needs may be left out


def missing_verbs(markdown: str) -> list[str]:
    """Verbs that a text does not name."""
    return [name for name in VERBS if not re.search(rf"`oneshot {name}(?![\w-])", markdown)]


def _refused(found_commands: Iterable[tuple[int, str]]) -> list[str]:
    found = []
    for number, text in found_commands:
        words = tuple(shlex.split(text, comments=True))[1:]
        try:
            if words and words[0] not in ("--help", "-h", "--version"):
                parse(words)
        except errors.UsageError as error:
            found.append(f"line {number}: {text}\n    {error.message}")
    return found


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or with --check compare them; the README's commands are checked both times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is stale")
    check = parser.parse_args(argv).check
    problems = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            problems.append(f"{name} is stale: run `make docs`")
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in ("README.md", *AGENTS):
        text = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
        problems += [f"{name} {line}" for line in stale_commands(text)]
        problems += [f"{name} {line}" for line in (stale_words(text) if name in AGENTS else ())]
        problems += [f"{name} lacks oneshot {verb}" for verb in (missing_verbs(text) if text and name == INDEX else ())]
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
