"""`oneshot VERB --help`: the verb's own flags from the static table, its settings by tyro from the schema."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import make_dataclass

from oneshot.cli.verbs import COMMON, VERBS, Flag, shorts
from oneshot.config.names import KEYS, flag
from oneshot.config.schema import Config

_SEED = "the run seed: every random number of the run follows from it"


def help_text(name: str, config: Config) -> str:
    """The help of one verb; defaults are the values of `config`, so recipes given beside `--help` show.

    A verb without sections needs no package but this one; the others need tyro.
    """
    verb = VERBS[name]
    words = " ".join(verb.positional)
    lines = [f"usage: oneshot {name} {words}{' ' if words else ''}[FLAGS]", "", verb.help, ""]
    lines += [*map(_line, (*verb.flags, *COMMON)), ""]
    if not verb.settings:
        return "\n".join(lines).rstrip()
    named = {key: f"  --{word:<22}" for word, key in shorts(verb).items()}
    lines += ["Settings by a short name:" if named else "Settings:"]
    lines += [head + (_SEED if key == "seed" else flag(key)) for key, head in named.items()]
    lines += [f"  {flag(key)}" for key in verb.settings if key in KEYS and key not in named]
    sections = [s for s in verb.settings if s not in KEYS]
    if not sections:
        return "\n".join(lines)
    lines += ["", "All settings, with their values now (flag > environment > files left to right > defaults):", ""]
    return "\n".join(lines) + "\n" + _settings(sections, config)


def _line(found: Flag) -> str:
    return f"  {found.usage:<24}{found.help}"


def _settings(sections: list[str], config: Config) -> str:
    """What tyro says about these sections; its usage line and its own --help are left out."""
    import tyro

    view = make_dataclass("Settings", [(s, type(getattr(config, s))) for s in sections])
    default = view(**{s: getattr(config, s) for s in sections})
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        tyro.cli(view, args=["--help"], default=default, prog="oneshot", config=(tyro.conf.FlagConversionOff,))
    groups = re.split(r"\n\s*\n", out.getvalue())
    kept = [group for group in groups if group.split("\n")[0].strip() in {f"{s} options" for s in sections}]
    return "\n\n".join("\n".join(line.rstrip() for line in group.split("\n")) for group in kept)
