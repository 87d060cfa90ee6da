"""Whether an answer is the reference, in process: text, exact numbers, structure, values. The order of the tiers.

The convention for every case is the label policy in `docs/rewards.md`. Each tier is asked only what the cheaper ones
left open; None means that no tier here can tell, which counts as wrong unless the optional last tier knows better.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from oneshot.rewards import numbers
from oneshot.rewards.evaluate import TooBig
from oneshot.rewards.expressions import Node, negated, number
from oneshot.rewards.reals import as_reals, is_set_of_reals, same_reals
from oneshot.rewards.structure import (
    INEQUALITIES,
    Bracketed,
    Many,
    Matrix,
    Ratio,
    Relation,
    Sets,
    Shape,
    Value,
    Words,
    read,
)
from oneshot.rewards.text import MAX_ANSWER, NEVER, compact
from oneshot.rewards.values import constant, equal_nodes, proportional, stands_for, variables


class Decision(NamedTuple):
    """`equal` is None where it cannot be told; `method` is the tier that decided."""

    equal: bool | None
    method: str


def same(answer: str, reference: str) -> Decision:
    """Whether two answers are the same. Never raises; bounded in time and memory.

    Empty texts, texts beyond `MAX_ANSWER` characters and a program's `nan`, `None`, `True` match nothing.
    """
    if len(answer) > MAX_ANSWER or len(reference) > MAX_ANSWER:
        return _long(answer, reference)
    given, wanted = _plain(answer), _plain(reference)
    if not _means_something(given) or not _means_something(wanted):
        return Decision(False, "text")
    if given == wanted:
        return Decision(True, "text")
    choice = _choice(given, wanted)
    if choice is not None:
        return Decision(choice, "text")
    first, second = numbers.parse(answer), numbers.parse(reference)
    if first and second:
        return Decision(numbers.equal(first, second), "number")
    a, b = read(answer), read(reference)
    try:
        found = equal(a, b)
    except (TooBig, RecursionError):
        found = None
    return Decision(found, _method(a, b) if found is not None else "none")


def _long(answer: str, reference: str) -> Decision:
    """Beyond what is read, the same text is the same answer, and whole numbers compare digit by digit, of any size."""
    if answer.strip() == reference.strip():
        return Decision(True, "text")
    first, second = _whole_number(answer), _whole_number(reference)
    return Decision(None, "none") if first is None or second is None else Decision(first == second, "number")


def _whole_number(text: str) -> str | None:
    """The digits of a whole number without separators and leading zeros, with a minus sign; None for other text."""
    bare = re.sub(r"[\s$]|\{,\}|\\[,!]|,(?=[0-9]{3}(?![0-9]))", "", text)
    match = re.fullmatch(r"(-?)\+?0*+([0-9]*+)", bare, re.ASCII)
    return (match[1] if match[2] else "") + (match[2] or "0") if match and bare.strip("+-") else None


def _method(a: Shape, b: Shape) -> str:
    if isinstance(a, Words) or isinstance(b, Words):
        return "text"
    return "expression" if isinstance(a, Value) and isinstance(b, Value) else "structure"


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    r"""The text in which equality is looked for first; `\text{yes}` is `yes`."""
    plain = compact(text)
    match = re.fullmatch(r"\\(?:text|mathrm)\{([^{}]*)\}", plain)
    return compact(match[1]) if match else plain


def _means_something(plain: str) -> bool:
    return plain.lower() not in NEVER and any(c.isalnum() or c == "\\" for c in plain)


_LETTER = re.compile(r"\(?([A-J])\)?[.:]?")
_LETTER_WITH_VALUE = re.compile(r"\(([A-J])\)[.:]?.+|([A-J])(?:\)|[.:] ?)\s*\S.*")


def _choice(given: str, wanted: str) -> bool | None:
    """Multiple-choice letters: `C`, `(C)`, `C.` and `(C) 14` are the same; None unless one side is a letter alone."""
    first, second = _letter_of(given), _letter_of(wanted)
    if not first or not second or not (_LETTER.fullmatch(given) or _LETTER.fullmatch(wanted)):
        return None
    marked = any(mark in given + wanted for mark in "().:")
    return first == second if marked or len(given) == len(wanted) == 1 else None


def _letter_of(plain: str) -> str:
    plain = plain.replace("\\text{", "").replace("\\mathrm{", "").replace("}", "")
    if len(re.findall(r"\([A-J]\)", plain)) > 1 or re.search(r"(?<![A-Za-z])(?:or|and)(?![A-Za-z])", plain):
        return ""  # hedging
    match = _LETTER.fullmatch(plain) or _LETTER_WITH_VALUE.fullmatch(plain)
    return next((g for g in match.groups() if g), "") if match else ""


def equal(a: Shape, b: Shape) -> bool | None:
    """Whether two readings are the same; None where that cannot be told."""
    a, b = _simple(a), _simple(b)
    if isinstance(a, Words) or isinstance(b, Words):
        return _words(a, b)
    if is_set_of_reals(a) or is_set_of_reals(b):
        first, second = as_reals(_unlabelled(a)), as_reals(_unlabelled(b))
        if first is not None and second is not None:
            return same_reals(first, second)
    if isinstance(a, Relation) or isinstance(b, Relation):
        return _relations(a, b)
    if isinstance(a, Many) or isinstance(b, Many):
        return _lists(a, b)
    if isinstance(a, Value) and isinstance(b, Value):
        return equal_values(a, b)
    if isinstance(a, Bracketed) and isinstance(b, Bracketed):
        return _tuples(a, b)
    matrices = _matrix(a), _matrix(b)
    if matrices[0] and matrices[1]:
        return _matrices(*matrices)
    if isinstance(a, Ratio) and isinstance(b, Ratio):
        return _ratios(a, b)
    if isinstance(a, Sets) and isinstance(b, Sets) and a.op == b.op == "cup":
        return _lists(Many(a.parts, "set"), Many(b.parts, "set"))
    if type(a) is type(b) or isinstance(a, (Sets, Ratio)) or isinstance(b, (Sets, Ratio)):
        return None
    return False  # a number is no tuple, a tuple no matrix


def _simple(shape: Shape) -> Shape:
    """A list of one is its item; `5 or 5.0`, which names one value twice, too."""
    if isinstance(shape, Many):
        items = list(shape.items)
        if shape.kind in ("or", "set", "pm"):
            items = []
            for item in shape.items:
                if not any(equal(item, other) for other in items):
                    items.append(item)
        if len(items) == 1:
            return _simple(items[0])
        return Many(tuple(items), shape.kind)
    return shape


def _words(a: Shape, b: Shape) -> bool | None:
    """Words against words, whatever the case; words against mathematics are different, what is not read is open."""
    if isinstance(a, Words) and isinstance(b, Words):
        if a.plain and b.plain and _letters(a.text) == _letters(b.text):
            return True
        if _loosely(a.text) == _loosely(b.text):
            return True
        return False if a.plain and b.plain else None
    words, other = (a, b) if isinstance(a, Words) else (b, a)
    assert isinstance(words, Words)
    if not words.plain:
        return None
    value = NUMBER_WORDS.get(words.text)
    if value is not None and isinstance(other, Value):
        return equal_values(Value(number(value)), other)
    if isinstance(other, Relation):
        inner = _unlabelled(other)
        return equal(inner, words) if inner is not other else False
    return False


NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
}


def _loosely(text: str) -> str:
    r"""What is not read as mathematics, without what cannot change it: `4:40\text{ a.m.}` is `4:40 am`."""
    return re.sub(r"\\(?:text|mathrm)|[{}\s~]|(?<![0-9])\.|\.(?![0-9])", "", text).lower()


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


# Values.


def equal_values(a: Value, b: Value) -> bool | None:
    """Two values, with the conventions for percent signs, rounded decimals and letters that may be a unit."""
    if a.percent != b.percent:
        signed, plain = (a, b) if a.percent else (b, a)
        hundredth = Node("mul", (signed.node, number(Fraction(1, 100))))
        found = [_equal_nodes(signed.node, plain.node), _equal_nodes(hundredth, plain.node)]
        return True if any(found) else None if None in found else False
    found_here = _equal_nodes(a.node, b.node)
    if found_here is not True and (a.bare is None) != (b.bare is None):
        bare, other = (a.bare, b.node) if a.bare else (b.bare, a.node)
        assert bare is not None
        if not variables(other) and _equal_nodes(bare, other):
            return True
    return found_here


def _equal_nodes(a: Node, b: Node) -> bool | None:
    found = equal_nodes(a, b)
    if found:
        return True
    first, second = numeral_of(a), numeral_of(b)
    if (first is None) == (second is None):
        return found
    decimal, exact = (first, b) if first else (second, a)
    assert decimal is not None
    if variables(exact):
        return found
    value = constant(exact)
    return True if value is not None and stands_for(decimal, value) else found


def numeral_of(node: Node) -> Node | None:
    r"""The decimal a tree writes, `2.5` or `2.5\times 10^{3}`, as one leaf with its places; None for anything else."""
    if node.op == "num":
        return node if node.places >= 0 else None
    if node.op == "mul" and len(node.args) == 2 and node.args[1].op == "pow":
        head, (base, exponent) = node.args[0], node.args[1].args
        power = exponent.value
        if head.op == "num" and base == number(10)._replace(digits=2) and exponent.op == "num" and abs(power) < 400:
            places = max(head.places, 0) - int(power)
            return head._replace(value=head.value * Fraction(10) ** int(power), places=max(places, 0))
    return None


# Several things at once.


def _lists(a: Shape, b: Shape) -> bool | None:
    if not (isinstance(a, Many) and isinstance(b, Many)):
        return False
    if len(a.items) != len(b.items):
        return False
    left = list(b.items)
    unsure = False
    for item in a.items:
        verdicts = []
        for k, other in enumerate(left):
            verdicts.append(equal(item, other))
            if verdicts[-1]:
                del left[k]
                break
        if not verdicts or verdicts[-1]:
            continue
        if None not in verdicts:
            return False
        unsure = True
    return None if unsure else True


def _tuples(a: Bracketed, b: Bracketed) -> bool | None:
    matrices = _matrix(a), _matrix(b)
    if matrices[0] and matrices[1]:
        return _matrices(*matrices)
    if (a.opening, a.closing) != (b.opening, b.closing) or len(a.items) != len(b.items):
        return False
    return _every([equal(x, y) for x, y in zip(a.items, b.items, strict=True)])


def _every(verdicts: list[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _matrix(shape: Shape) -> Matrix | None:
    """A matrix, also written as `[[1,2],[3,4]]`."""
    if isinstance(shape, Matrix):
        return shape
    if isinstance(shape, Bracketed) and shape.opening == "[" and all(isinstance(i, Bracketed) for i in shape.items):
        rows = [i.items for i in shape.items if isinstance(i, Bracketed) and i.opening == "["]
        cells = [tuple(c.node for c in row if isinstance(c, Value)) for row in rows]
        whole = len(rows) == len(shape.items) and all(len(c) == len(r) for c, r in zip(cells, rows, strict=True))
        return Matrix(tuple(cells)) if whole else None
    return None


def _matrices(a: Matrix | None, b: Matrix | None) -> bool | None:
    assert a is not None and b is not None
    if [len(r) for r in a.rows] != [len(r) for r in b.rows]:
        return False
    return _every([_equal_nodes(x, y) for p, q in zip(a.rows, b.rows, strict=True) for x, y in zip(p, q, strict=True)])


def _ratios(a: Ratio, b: Ratio) -> bool | None:
    """`2:4` is `1:2`: every part of one times the first of the other."""
    if len(a.parts) != len(b.parts):
        return False
    first, second = a.parts[0], b.parts[0]
    crossed = [
        equal_nodes(Node("mul", (x, second)), Node("mul", (y, first)))
        for x, y in zip(a.parts, b.parts, strict=True)
    ]  # fmt: skip
    return _every(crossed)


# Relations.


def _unlabelled(shape: Shape) -> Shape:
    r"""`x = 5` as 5, `f(x) = x^2` as x^2, `\angle ABC = 90` as 90, `x \in S` as S; other shapes as they are."""
    if isinstance(shape, Many) and any(isinstance(i, Relation) for i in shape.items):
        return shape
    if not isinstance(shape, Relation) or any(op not in ("=", "in", "approx") for op in shape.ops):
        return shape
    if shape.ops == ("in",):
        return shape.sides[1]
    if len(shape.ops) > 1 or shape.ops == ("approx",):
        return _chain(shape)
    left, right = shape.sides
    if _is_label(left, right) or (not _lettered(left) and not _lettered(right) and equal(left, right)):
        return right
    return left if _is_label(right, left) and isinstance(right, Value) and right.node.op == "var" else shape


def _lettered(shape: Shape) -> bool:
    return not isinstance(shape, Value) or bool(variables(shape.node))


def _chain(shape: Relation) -> Shape:
    """`x = 2+3 = 5` and `10/4 = 2.5` state one value several times; behind an approximation stands no answer."""
    sides = list(shape.sides)
    if _is_label(sides[0], sides[1]):
        sides = sides[1:]
    for k, op in enumerate(shape.ops[len(shape.sides) - len(sides) :]):
        if op == "approx" and k + 1 < len(sides) + 1:
            sides = sides[: k + 1]
            break
    if all(equal(sides[0], other) for other in sides[1:]):
        return sides[0]
    return shape


def _is_label(left: Shape, right: Shape) -> bool:
    if isinstance(left, Words):
        return True
    if isinstance(left, Bracketed):
        return all(isinstance(i, Value) and i.node.op == "var" for i in left.items)
    if not isinstance(left, Value):
        return False
    node = left.node
    inside = variables(right.node) if isinstance(right, Value) else frozenset()
    if node.op == "var":
        return node.name not in inside
    if node.op == "const":
        return node.name in ("e", "i") and not inside
    parts = node.args if node.op == "mul" else ()
    if not parts or any(p.op != "var" for p in parts):
        return False
    names = [p.name for p in parts]
    segment = all(n[:1].isupper() for n in names) and not inside
    function = len(names) == 2 and names[0] in "fghFGHPpqyNuvwrsST" and names[0] not in inside
    return segment or function


def _relations(a: Shape, b: Shape) -> bool | None:
    first, second = _unlabelled(a), _unlabelled(b)
    if not (isinstance(a, Relation) and isinstance(b, Relation)):
        if isinstance(first, Relation) or isinstance(second, Relation):
            relation = first if isinstance(first, Relation) else second
            return None if isinstance(relation, Relation) and len(relation.ops) > 1 else False
        return equal(first, second)
    if first is not a and second is not b and _label(a) == _label(b):
        return equal(first, second)
    if len(a.ops) > 1 or len(b.ops) > 1:
        return _chains(a, b)
    if first is not a and second is not b and _defines(a) and _defines(b):
        return equal(first, second)
    return _equations(a, b)


def _label(relation: Relation) -> Shape:
    return relation.sides[0]


def _defines(relation: Relation) -> bool:
    """`y = ...` or `f(x) = ...` with variables on the right: the name of the function does not matter."""
    right = relation.sides[1]
    return relation.ops == ("=",) and isinstance(right, Value) and bool(variables(right.node))


def _chains(a: Relation, b: Relation) -> bool | None:
    """Chains of inequalities side by side, also read from the other end."""
    flips = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    turned = Relation(tuple(flips.get(op, op) for op in reversed(b.ops)), tuple(reversed(b.sides)))
    for other in (b, turned):
        if a.ops == other.ops:
            found = _every([equal(x, y) for x, y in zip(a.sides, other.sides, strict=True)])
            if found:
                return True
    return None


def _equations(a: Relation, b: Relation) -> bool | None:
    """Equations up to a factor; inequalities up to a positive factor, both read as `... > 0`."""
    first, second = _difference(a), _difference(b)
    if first is None or second is None:
        if a.ops == b.ops:
            turned = reversed(b.sides) if a.ops == ("=",) else b.sides
            pairs = [zip(a.sides, sides, strict=True) for sides in (b.sides, turned)]
            return True if any(_every([equal(x, y) for x, y in pair]) for pair in pairs) else None
        return None
    if first[1] != second[1]:
        return False
    return proportional(first[0], second[0], positive=first[1] in INEQUALITIES)


def _difference(relation: Relation) -> tuple[Node, str] | None:
    left, right = relation.sides
    if not (isinstance(left, Value) and isinstance(right, Value)) or left.percent or right.percent:
        return None
    op = relation.ops[0]
    if op in ("<", "<="):
        return Node("add", (right.node, negated(left.node))), {"<": ">", "<=": ">="}[op]
    return Node("add", (left.node, negated(right.node))), op
