"""The scripts of three shells. Words in them are this program's own; names of files are never expanded by the shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneshot.cli.completion import Line, Slot

PROGRAMS = ("oneshot", "oneshot-rlvr")
INDENT = "    "

_BASH = r"""# bash completion of oneshot. Load it with: source <(oneshot completion bash)
_oneshot() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}
    local words= kind= place= quoted=
    COMPREPLY=()
    if [[ $cur == = ]]; then cur=
    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
    if ((COMP_CWORD == 1)); then
        words="@VERBS@"
    elif [[ $cur == -* ]]; then
        case $verb in
@FLAGS@
        esac
    else
        case "$verb $prev" in
@VALUES@
            *) case "$verb $((COMP_CWORD == 2))" in
@PLACES@
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    # A name of a file is taken only where the shell quotes it, or where it needs no quotes.
    case $kind in
        files | folders | runs)
            compopt -o filenames 2>/dev/null && quoted=1
            while IFS= read -r place; do
                [[ $quoted || $place != *[!A-Za-z0-9._/-]* ]] && COMPREPLY+=("$place")
            done < <(if [[ $kind == files ]]; then compgen -f -- "$cur"; else compgen -d -- "$cur"; fi) ;;
    esac
    if [[ $kind == runs ]]; then
        for place in runs/*/; do
            place=${place#runs/} place=${place%/}
            [[ $place == "$cur"* && $place != *[!A-Za-z0-9._-]* ]] && COMPREPLY+=("$place")
        done
    fi
    return 0
}
complete -F _oneshot @PROGRAMS@
"""

_ZSH = r"""#compdef @PROGRAMS@
# zsh completion of oneshot. Load it with: source <(oneshot completion zsh)
_oneshot_place() {
    [[ -n $2 ]] && compadd -- ${=2}
    case $1 in
        (files) _files ;;
        (folders) _files -/ ;;
        (runs) local -a found; found=(runs/*(N/:t)); compadd -a found; _files -/ ;;
    esac
    return 0
}
_oneshot() {
    local verb=$words[2] prev=$words[CURRENT-1] cur=$words[CURRENT]
    local -a offered
    if (( CURRENT == 2 )); then
        offered=(
@VERBS@
        )
        _describe -t verbs verb offered
        return
    fi
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        compset -P 1 '*='
    elif [[ $cur == -* ]]; then
        case $verb in
@FLAGS@
        esac
        _describe -o -t flags flag offered
        return
    fi
    case "$verb $prev" in
@VALUES@
        *) case "$verb $(( CURRENT == 3 ))" in
@PLACES@
        esac ;;
    esac
}
if [[ $funcstack[1] == _oneshot ]]; then _oneshot "$@"; else compdef _oneshot @PROGRAMS@; fi
"""

_FISH = r"""# fish completion of oneshot. Load it with: oneshot completion fish | source
function __oneshot_runs
    for place in runs/*/
        string replace -r '^runs/(.*)/$' '$1' -- $place
    end
end
complete -c oneshot -f
complete -c oneshot-rlvr -w oneshot
"""


def bash(lines: Sequence[Line]) -> str:
    """For bash 3.2 and newer."""

    def told(slot: Slot) -> str:
        return f'kind={slot.kind} words="{" ".join(slot.words)}"'

    flags = [f'{3 * INDENT}{line.verb}) words="{" ".join(o.name for o in line.options)}" ;;' for line in lines]
    return _filled(
        _BASH,
        VERBS=" ".join(line.verb for line in lines),
        FLAGS="\n".join(flags),
        VALUES="\n".join(f"{3 * INDENT}{where}) {told(slot)} ;;" for where, slot in _values(lines)),
        PLACES="\n".join(f"{4 * INDENT}{where}) {told(slot)} ;;" for where, slot in _places(lines)),
    )


def zsh(lines: Sequence[Line]) -> str:
    """For zsh with `compinit`."""

    def told(slot: Slot) -> str:
        return f"_oneshot_place {slot.kind} '{' '.join(slot.words)}'"

    def offered(pairs: Sequence[tuple[str, str]], depth: int) -> str:
        return "\n".join(f"{depth * INDENT}{_quoted(f'{name}:{help}')}" for name, help in pairs)

    flags = [
        f"{3 * INDENT}({line.verb}) offered=(\n{offered([(o.name, o.help) for o in line.options], 4)}\n{3 * INDENT}) ;;"
        for line in lines
    ]
    return _filled(
        _ZSH,
        VERBS=offered([(line.verb, line.help) for line in lines], 3),
        FLAGS="\n".join(flags),
        VALUES="\n".join(f"{2 * INDENT}{where}) {told(slot)} ;;" for where, slot in _values(lines)),
        PLACES="\n".join(f"{3 * INDENT}{where}) {told(slot)} ;;" for where, slot in _places(lines)),
    )


def fish(lines: Sequence[Line]) -> str:
    """For fish 3 and newer."""
    made = [_FISH]
    for line in lines:
        made.append(f"complete -c oneshot -n __fish_use_subcommand -a {line.verb} -d {_fished(line.help)}")
        seen = f"complete -c oneshot -n '__fish_seen_subcommand_from {line.verb}'"
        for option in line.options:
            told = "" if option.slot is None else f" {_fish_slot(option.slot, flag=True)}"
            names = f"-l {option.name.removeprefix('--')}" + (f" -s {option.short}" if option.short else "")
            made.append(f"{seen} {names}{told} -d {_fished(option.help)}")
        made += [f"{seen} {told}" for slot in dict.fromkeys((line.first, line.rest)) if (told := _fish_slot(slot))]
    return "\n".join(made)


def _fish_slot(slot: Slot, *, flag: bool = False) -> str:
    """What is offered at a place; nothing to say for a word that may be anything."""
    folders = "(__fish_complete_directories)"
    found = {"folders": [folders], "runs": ["(__oneshot_runs)", folders]}.get(slot.kind, [])
    offered = " ".join((*slot.words, *found))
    words = f" -a '{offered}'" if offered else ""
    if slot.kind == "files":
        return f"{'-r ' if flag else ''}-F{words}"
    return f"{'-x' if flag else ''}{words}".strip()


def _values(lines: Sequence[Line]) -> list[tuple[str, Slot]]:
    """(pattern of "verb flag", what follows it): of a flag that is the same for every verb, one pattern."""
    found: dict[str, dict[str, Slot | None]] = {}
    letters = {o.name: [f"-{o.short}"] if o.short else [] for line in lines for o in line.options}
    for line in lines:
        for option in line.options:
            found.setdefault(option.name, {})[line.verb] = option.slot
    by_slot: dict[Slot, list[str]] = {}
    for name, slots in found.items():
        alike = len(set(slots.values())) == 1
        for slot, where in [(next(iter(slots.values())), "*")] if alike else [(s, v) for v, s in slots.items()]:
            if slot is not None:
                by_slot.setdefault(slot, []).extend(f'{where}" {each}"' for each in (name, *letters[name]))
    return [("|".join(where), slot) for slot, where in by_slot.items()]


def _places(lines: Sequence[Line]) -> list[tuple[str, Slot]]:
    """(pattern of "verb first", the slot); first is 1 for the word right after the verb."""
    both = [(f'"{line.verb} {first}"', slot) for line in lines for first, slot in ((1, line.first), (0, line.rest))]
    return [(where, slot) for where, slot in both if slot.kind != "any"]


def _filled(text: str, **parts: str) -> str:
    for name, part in {**parts, "PROGRAMS": " ".join(PROGRAMS)}.items():
        text = text.replace(f"@{name}@", part)
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
