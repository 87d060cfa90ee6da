"""Whether two readings of answers are the same: values, lists, tuples, matrices, ratios, words."""

from __future__ import annotations

import re
from collections.abc import Callable

from oneshot.rewards.answers.decimals import hundredth, numeral_of, stands_for
from oneshot.rewards.answers.evaluate import TooBig
from oneshot.rewards.answers.pieces import same_reals
from oneshot.rewards.answers.reals import as_reals, is_set_of_reals
from oneshot.rewards.answers.relations import every, same_relations, unlabelled
from oneshot.rewards.answers.shapes import Bracketed, Many, Matrix, Ratio, Relation, Sets, Shape, Value, Words
from oneshot.rewards.answers.tree import Node, number
from oneshot.rewards.answers.values import constant, equal_nodes, variables


def equal(a: Shape, b: Shape) -> bool | None:
    """Whether two readings are the same; None where that cannot be told."""
    a, b = _simple(a), _simple(b)
    if isinstance(a, Words) or isinstance(b, Words):
        return _words(a, b)
    if is_set_of_reals(a) or is_set_of_reals(b):
        first, second = as_reals(unlabelled(a, equal)), as_reals(unlabelled(b, equal))
        if first is not None and second is not None:
            return same_reals(first, second)
    if isinstance(a, Relation) or isinstance(b, Relation):
        return same_relations(a, b, equal)
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
        inner = unlabelled(other, equal)
        return equal(inner, words) if inner is not other else False
    return False


NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
}


def _loosely(text: str) -> str:
    r"""What is not read as mathematics, without what cannot change it: `4:40\text{ a.m.}` is `4:40 am`."""
    bare = re.sub(r"\\(?:text|mathrm)|[{}\s~]|(?<![0-9])\.|\.(?![0-9])", "", text)
    return bare.lower() if re.match(r"[0-9]{1,2}:[0-9]{2}", bare) else bare


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", re.sub(r"^(?:an?|the) ", "", text.lower()))


# Values.


def equal_values(a: Value, b: Value) -> bool | None:
    """Two values, with the conventions for percent signs, rounded decimals and letters that may be a unit."""
    if a.percent != b.percent:
        signed, plain = (a, b) if a.percent else (b, a)
        shifted = hundredth(signed.node)
        found = [_equal_nodes(signed.node, plain.node), _equal_nodes(shifted, plain.node)]
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
    try:
        value = constant(exact)
    except TooBig:
        return found
    return True if value is not None and stands_for(decimal, value) else found


# Several things at once.


def _lists(a: Shape, b: Shape) -> bool | None:
    """Every item of one has its own in the other. Open where only items that cannot be told apart would complete it."""
    if not (isinstance(a, Many) and isinstance(b, Many)):
        return False
    if len(a.items) != len(b.items) or _labels_lost(a, b) or _labels_lost(b, a):
        return False
    verdicts: dict[tuple[int, int], bool | None] = {}

    def verdict(i: int, j: int) -> bool | None:
        if (i, j) not in verdicts:
            verdicts[i, j] = equal(a.items[i], b.items[j])
        return verdicts[i, j]

    if _matched(len(a.items), lambda i, j: verdict(i, j) is True):
        return True
    return None if _matched(len(a.items), lambda i, j: verdict(i, j) is not False) else False


def _labels_lost(a: Many, b: Many) -> bool:
    """Whether one side names different variables, `x=1, y=2`, and the other none: its order would have to count."""
    named = [i.sides[0] for i in a.items if isinstance(i, Relation) and i.ops == ("=",)]
    # The roots x_1 and x_2 may change places, x and y may not.
    names = {i.node.name.partition("_")[0] for i in named if isinstance(i, Value)}
    return len(names) > 1 and not any(isinstance(i, Relation) for i in b.items)


def _matched(n: int, fits: Callable[[int, int], bool]) -> bool:
    """Whether n items can be paired with n others that fit: augmenting paths (Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in range(n):
            if j not in tried and fits(i, j):
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    return all(place(i, set()) for i in range(n))


def _tuples(a: Bracketed, b: Bracketed) -> bool | None:
    matrices = _matrix(a), _matrix(b)
    if matrices[0] and matrices[1]:
        return _matrices(*matrices)
    if (a.opening, a.closing) != (b.opening, b.closing) or len(a.items) != len(b.items):
        return False
    return every([equal(x, y) for x, y in zip(a.items, b.items, strict=True)])


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
    return every([_equal_nodes(x, y) for p, q in zip(a.rows, b.rows, strict=True) for x, y in zip(p, q, strict=True)])


def _ratios(a: Ratio, b: Ratio) -> bool | None:
    """`2:4` is `1:2`: crosswise products agree, zeros stand at the same places. `4:30` may be a time: only itself."""
    if len(a.parts) != len(b.parts):
        return False
    if _is_time(a) or _is_time(b):
        return every([equal_nodes(x, y) for x, y in zip(a.parts, b.parts, strict=True)])
    n = len(a.parts)
    crossed = [
        equal_nodes(Node("mul", (a.parts[i], b.parts[j])), Node("mul", (a.parts[j], b.parts[i])))
        for i in range(n)
        for j in range(i)
    ]
    zeros = [equal_nodes(x, ZERO) == equal_nodes(y, ZERO) for x, y in zip(a.parts, b.parts, strict=True)]
    return every([*crossed, *zeros])


def _is_time(ratio: Ratio) -> bool:
    minutes = ratio.parts[-1]
    return len(ratio.parts) == 2 and (minutes.op, minutes.digits) == ("num", 2) and minutes.value < 60


ZERO = number(0)
