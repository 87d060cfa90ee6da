r"""What kind of thing an answer is: a value, a list, a tuple, an interval, a relation, a matrix, words.

Bracket-aware: separators and relations count at the top level only. A leaf goes to the expression parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from oneshot.rewards.answers.brackets import closing, cut, top_level
from oneshot.rewards.answers.leaves import matrix, value
from oneshot.rewards.answers.relations import is_label
from oneshot.rewards.answers.shapes import RELATIONS, Bracketed, Many, Ratio, Relation, Sets, Shape, Value, Words
from oneshot.rewards.answers.text import clean, compact
from oneshot.rewards.answers.tokens import Token, Unreadable, tokenize
from oneshot.rewards.answers.tree import Node
from oneshot.rewards.answers.units import words_of
from oneshot.rewards.answers.wording import NEVER_IN_LABELS, is_text, plain_words, without_intro

MAX_NESTED = 12
MAX_ITEMS = 64


@lru_cache(maxsize=4096)
def read(text: str) -> Shape:
    """What an answer is. Never raises: what cannot be read is `Words`."""
    cleaned = clean(text)
    try:
        return _several(tokenize(cleaned), 0)
    except Unreadable:
        return Words(compact(text), plain=False)


def _several(tokens: Sequence[Token], depth: int) -> Shape:
    if depth > MAX_NESTED:
        raise Unreadable("nested too deep")
    tokens = _unwrapped(without_intro(tokens))
    if not tokens:
        raise Unreadable("nothing")
    if len(tokens) == 1 and tokens[0].kind == "text" and any(c.isdigit() for c in tokens[0].text):
        return _several(tokenize(tokens[0].text), depth + 1)  # \text{62 cm}
    wordy = all(t.kind in ("text", "word") or t.text in ("-", "'", ".", "!") for t in tokens)
    if wordy and not tokens[0].text.strip().startswith("-") and is_text(tokens):
        said = " ".join(plain_words(t) for t in tokens).strip()
        return _REALS if said in ("all real numbers", "all reals", "real numbers") else Words(said, plain=True)
    parts, kind = _split_list(tokens)
    if len(parts) == 1:
        return _single(parts[0], depth)
    if len(parts) > MAX_ITEMS:
        raise Unreadable("too many items")
    return _listed(tuple(_single(part, depth) for part in parts), kind)


_REALS = Value(Node("var", name="mathbb:R"))


def _listed(items: tuple[Shape, ...], kind: str) -> Shape:
    r"""A list; `x = 1, 2` names every item, and `1 \pm 2, 3` has three items."""
    flat: list[Shape] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Many) and item.kind == "pm" else [item])
    first = flat[0]
    named = isinstance(first, Relation) and first.ops == ("=",) and is_label(first.sides[0], first.sides[1])
    if named and isinstance(first, Relation) and not any(isinstance(i, Relation) for i in flat[1:]):
        flat[0] = first.sides[1]
    return Many(tuple(flat), kind)


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without braces around all of it."""
    while len(tokens) > 1 and tokens[0].text == "{" and closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _separator(token: Token) -> str:
    if token.text in (",", ";", "and", "or") and token.kind == "op":
        return token.text
    if token.kind in ("text", "word"):
        words = words_of(token.text)
        if words in (["and"], ["or"]):
            return words[0]
        if token.kind == "text" and token.text.strip() in (",", ";"):
            return ","
    return ""


def _split_list(tokens: Sequence[Token]) -> tuple[list[Sequence[Token]], str]:
    kind, start = "list", 0
    parts: list[Sequence[Token]] = []
    comma = False  # `2, and 3`: a comma before a word is part of the same separator
    for place in top_level(tokens):
        mark = _separator(tokens[place])
        if not mark:
            continue
        kind = mark if mark in ("and", "or") else kind
        if not (place == start and comma and mark in ("and", "or")):
            parts.append(tokens[start:place])
        comma = mark in (",", ";")
        start = place + 1
    if start < len(tokens):
        parts.append(tokens[start:])
    if any(not part for part in parts):
        raise Unreadable("an empty item")
    return parts, kind


def _single(tokens: Sequence[Token], depth: int) -> Shape:
    if depth > MAX_NESTED:
        raise Unreadable("nested too deep")
    tokens = _unwrapped(without_intro(tokens))
    if any(t.text in ("pm", "mp") and t.kind == "op" for t in tokens):
        braces = tokens[0].text == "\\{" and closing(tokens, 0) == len(tokens) - 1
        return _set(tokens[1:-1], depth) if braces else _plus_and_minus(tokens, depth)
    places = top_level(tokens)
    related = [i for i in places if tokens[i].kind == "op" and tokens[i].text in RELATIONS]
    if related:
        return _relation(tokens, related, depth)
    tokens = _minus_as_setminus(tokens, places)
    joined = [i for i in places if tokens[i].text in ("cup", "cap", "setminus")]
    if joined:
        ops = {tokens[i].text for i in joined}
        if len(ops) > 1:
            raise Unreadable("several set operations")
        return Sets(ops.pop(), tuple(_several(p, depth + 1) for p in cut(tokens, joined)))
    ratio = [i for i in places if tokens[i].text == ":"]
    if ratio:
        if "".join(t.text for t in tokens[-4:]).lower().replace(".", "").endswith(("am", "pm")):
            raise Unreadable("a time of day")
        return Ratio(tuple(value(p).node for p in cut(tokens, ratio)))
    return _bracketed(tokens, depth) or matrix(tokens) or _leaf(tokens)


def _minus_as_setminus(tokens: Sequence[Token], places: Sequence[int]) -> Sequence[Token]:
    r"""`\mathbb{R} - \{2\}` takes a set away."""
    minus = {i for i in places if i and tokens[i].text == "-" and [t.text for t in tokens[i + 1 : i + 2]] == ["\\{"]}
    return [t._replace(text="setminus") if i in minus else t for i, t in enumerate(tokens)]


def _plus_and_minus(tokens: Sequence[Token], depth: int) -> Shape:
    def signs(upper: str, lower: str) -> Shape:
        swap = {"pm": upper, "mp": lower}
        return _single([t._replace(text=swap[t.text]) if t.text in swap else t for t in tokens], depth + 1)

    first, second = signs("+", "-"), signs("-", "+")
    return Many((first, second), "pm")


def _relation(tokens: Sequence[Token], places: Sequence[int], depth: int) -> Shape:
    equation = all(tokens[i].text == "=" for i in places)
    sides = tuple(_side(p, depth) if equation else _several(p, depth + 1) for p in cut(tokens, places))
    return Relation(tuple(tokens[i].text for i in places), sides)


def _side(tokens: Sequence[Token], depth: int) -> Shape:
    r"""A side of a relation; `f(x)`, `\angle ABC`, `\text{Area}` are labels, kept as words where they are no value."""
    if _is_application(tokens):
        return Words("".join(t.text for t in tokens), plain=True)
    try:
        return _several(tokens, depth + 1)
    except Unreadable:
        known = all(t.kind in ("name", "text", "word", "command", "op", "open", "close") for t in tokens)
        said = [w for t in tokens if t.kind in ("text", "word") for w in words_of(t.text)]
        if (known and tokens[0].text in ("angle", "triangle")) or (said and not NEVER_IN_LABELS & set(said)):
            return Words(" ".join(t.text for t in tokens), plain=True)
        raise


def _is_application(tokens: Sequence[Token]) -> bool:
    """`f(x)`, `N(n)`, `S(2)`: a letter and a bracket with letters or a number alone."""
    if (
        len(tokens) < 4
        or tokens[0].kind != "name"
        or tokens[1].text != "("
        or tokens[1].spaced
        or tokens[-1].text != ")"
    ):
        return False
    inner = tokens[2:-1]
    return all(t.kind in ("name", "number") if i % 2 == 0 else t.text == "," for i, t in enumerate(inner))


def _bracketed(tokens: Sequence[Token], depth: int) -> Shape | None:
    first, last = tokens[0], tokens[-1]
    if first.kind != "open" or first.text.startswith("matrix") or closing(tokens, 0) != len(tokens) - 1:
        return None
    inner = tokens[1:-1]
    if first.text == "\\{":
        return _set(inner, depth)
    if first.text not in ("(", "[", "langle") or not inner:
        return None
    parts, kind = _split_list(inner)
    if len(parts) == 1 and first.text + last.text in ("()", "[]"):
        found = _several(inner, depth + 1)
        return found if not isinstance(found, Value) else None
    if kind != "list":
        raise Unreadable("words inside a tuple")
    items = tuple(_single(p, depth + 1) for p in parts)
    if first.text == "langle":
        return Bracketed("(", items, ")")
    return Bracketed(first.text, items, last.text)


def _set(inner: Sequence[Token], depth: int) -> Shape:
    if not inner:
        return Many((), "set")
    bars = [i for i in top_level(inner) if inner[i].text in ("|", ":")]
    if len(bars) == 1 and bars[0] > 0:
        return _several(inner[bars[0] + 1 :], depth + 1)  # {x | condition}
    found = _several(inner, depth + 1)
    return Many(found.items if isinstance(found, Many) else (found,), "set")


def _leaf(tokens: Sequence[Token]) -> Shape:
    if tokens[0].text == "emptyset" and len(tokens) == 1:
        return Many((), "set")
    return value(tokens)
