r"""The optional last tier: two expressions compared by math-verify and sympy in a process that can be killed.

It is asked only what the other tiers leave open: sums, integrals, limits, rare functions. Everything math-verify is
known to get wrong is refused beforehand (`askable`): decimals, factorials, subscripts (`204_5`), large exponents (it
compares to an absolute precision, so 1/10^30 was 1/10^31), words (`apple` was `elppa`, a product), capital and small
letters of one name (`R` was `r`), relations and lists. What it reads is then evaluated at a point: other values mean
no. Where 25 digits agree and math-verify says yes, it is yes. All else stays undecided.

What sympy would hand to `eval` never gets there: in the worker `parse_expr` reads plain numbers and nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

from oneshot.errors import OneshotError
from oneshot.rewards.workers import WorkerPool

MAX_TEXT = 300
"""A longer text is not asked about; the parser takes seconds for a few thousand characters."""
_DIGITS = 40
_AGREEMENT = 25
_POINTS = (7, 11, 13, 17, 19, 23)
"""Whole numbers, so that they may also be the limit of a sum; prime, so that no product repeats."""
_NATIVE = ("gmpy2", "gmpy", "flint")
"""Faster integers, and not to be had here: a power in one of them can abort the process."""

_GREEK = "alpha beta delta epsilon theta lambda mu rho sigma tau phi varphi omega"
_COMMANDS = frozenset(
    f"frac dfrac tfrac cfrac binom dbinom tbinom sqrt cdot times div left right sin cos tan cot sec csc arcsin arccos "
    f"arctan sinh cosh tanh log ln exp lim sum prod int limits to infty pi lfloor rfloor lceil rceil {_GREEK}".split()
)
_CHARACTERS = re.compile(r"[A-Za-z0-9 +\-*/^=_|(){}\[\]\\]+")
_COMMAND = re.compile(r"\\([A-Za-z]+|.|$)")
_SPACES = re.compile(r"\\[,;: ]|\\q?quad(?![A-Za-z])")
_GROUP = r"\s*(?:\{(?:[^{}]|\{[^{}]*\})*\}|\\[A-Za-z]+|[A-Za-z0-9])"
_BOUNDS = re.compile(rf"\\(?:sum|prod|int|lim)(?:\\limits)?\s*(?:_{_GROUP})?\s*(?:\^{_GROUP})?|\\log\s*_{_GROUP}")
_INDEX = re.compile(r"\\(?:sum|prod|lim)(?:\\limits)?\s*_\s*\{?\s*([A-Za-z])")
_DIFFERENTIAL = re.compile(r"(?<![A-Za-z\\])d\s*([A-Za-z])")
_LARGE_POWER = re.compile(
    rf"\^(?:\s*[0-9]{{2}}|(?={_GROUP})\s*\{{[^{{}}]*(?:[0-9]{{2}}|\^))|\^(?!{_GROUP})|\^\s*\{{[^{{}}]*\{{.*\^"
)
_ROOT = re.compile(r"\\sqrt\s*\[[^\[\]]*\]")
_E = re.compile(r"(?<![A-Za-z\\])e(?=\s*\^)")
_EXERCISES = (
    (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
    (r"\int_0^1 x dx", r"\frac{1}{2}"),
)
"""Done once before workers are forked: they fill the parser's tables, which takes longer than a later question."""
_FRACTION = re.compile(r"-?[0-9]+(?:/[0-9]+)?")
_DECIMAL = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")


def askable(answer: str, reference: str) -> bool:
    """Whether both texts are expressions in the same variables, free of all that math-verify misreads."""
    texts = _clean(answer), _clean(reference)
    if not all(_plain(text) for text in texts):
        return False
    ours, theirs = (_names(text) for text in texts)
    every = set().union(*(_letters(text) for text in texts))
    return ours == theirs and len({name.lower() for name in every}) == len(every)


def _clean(text: str) -> str:
    r"""Without `$`, `\(` and `\[` around it, and without LaTeX spaces."""
    text = text.strip()
    for start, end in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        if len(text) > len(start + end) and text.startswith(start) and text.endswith(end):
            text = text[len(start) : -len(end)]
    return _SPACES.sub(" ", text).strip()


def _plain(text: str) -> bool:
    if not text or len(text) > MAX_TEXT or not _CHARACTERS.fullmatch(text) or not _balanced(text):
        return False
    if not {match[1] for match in _COMMAND.finditer(text)} <= _COMMANDS:
        return False
    bare = _ROOT.sub(r"\\sqrt", _BOUNDS.sub(" ", text))
    if any(sign in bare for sign in "_=[]") or _LARGE_POWER.search(bare):
        return False
    return not re.search("[A-Za-z]{3}", _COMMAND.sub(" ", text))


def _balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0


def _letters(text: str) -> set[str]:
    greek = {match[1] for match in _COMMAND.finditer(text)} & set(_GREEK.split())
    return greek | set(re.findall("[A-Za-z]", _COMMAND.sub(" ", text)))


def _names(text: str) -> set[str]:
    """The free names: letters less the e of a power, the index of a sum, the variable of a limit or an integral."""
    bound = set(_INDEX.findall(text))
    text = _E.sub("", text)
    if r"\int" in text:
        bound |= {"d", *_DIFFERENTIAL.findall(text)}
    return _letters(text) - bound


def preload() -> None:
    """Import math-verify in this process without native integers and without a way to `eval`. For workers only."""
    for name in _NATIVE:
        if sys.modules.get(name) is not None:
            raise RuntimeError(f"{name} is loaded already; sympy must not use it here")
        sys.modules[name] = cast(ModuleType, None)  # an import of it fails from now on
    import_module("logging").getLogger("math_verify").setLevel("ERROR")  # that it runs without its time-out is meant
    parser, parsing = import_module("sympy.parsing.sympy_parser"), import_module("sympy.parsing")
    import_module("sympy.physics.units")  # parses its own names while it is imported, and later that would fail
    if import_module("sympy.external.gmpy").GROUND_TYPES != "python":
        raise RuntimeError("sympy does not use Python's integers")
    for module in (parser, parsing):
        vars(module)["parse_expr"] = _read_number
    import_module("math_verify")
    for pair in _EXERCISES:
        decide(list(pair))


def factory() -> Callable[[list[str]], bool | None]:
    """The worker's function, `decide`. Importing is done by then, where `preload` ran before the fork."""
    if "math_verify" not in sys.modules:
        preload()
    return decide


def decide(job: list[str]) -> bool | None:
    """[reference, answer]: equal, different, or None. Not bounded in time or memory; the pool is."""
    if not askable(*job):
        return None
    found = [_parse(text) for text in sorted(job)]  # so that the order of the two cannot matter
    if len(found[0]) != 1 or len(found[1]) != 1:
        return None
    expression = import_module("sympy").Expr
    left, right = found[0][0], found[1][0]
    if not isinstance(left, expression) or not isinstance(right, expression):
        return None
    agree = _agree(left, right)
    if not agree:
        return agree
    return True if import_module("math_verify").verify(left, right, timeout_seconds=None) else None


def _parse(text: str) -> list[Any]:
    """The expression in `text`; LaTeX only, since its reader of plain text calls `parse_expr` on it."""
    tool = import_module("math_verify")
    normal = tool.LatexNormalizationConfig(units=False, malformed_operators=True, boxed="none")
    target = tool.LatexExtractionConfig(normalization_config=normal, boxed_match_priority=-1)
    found: list[Any] = tool.parse(
        f"${_clean(text)}$", [target], fallback_mode="no_fallback", extraction_mode="first_match", parsing_timeout=None
    )
    return found


def _agree(left: Any, right: Any) -> bool | None:
    """Whether both have one value where the variables are `_POINTS`, to 25 digits of it; None where that is unknown."""
    names = sorted({str(symbol) for side in (left, right) for symbol in side.free_symbols})
    if len(names) > len(_POINTS):
        return None
    point = dict(zip(names, _POINTS, strict=False))
    a, b = (_value(side, point) for side in (left, right))
    if a is None or b is None:
        return None
    size = max(abs(a), abs(b))
    if a != b and size * 10**_AGREEMENT < 1:
        return None  # a zero that did not cancel completely looks like this
    return bool(abs(a - b) * 10**_AGREEMENT <= size)


def _value(expression: Any, point: dict[str, int]) -> Any:
    at = {symbol: point[str(symbol)] for symbol in expression.free_symbols}
    value = expression.subs(at).doit().evalf(_DIGITS)
    return value if value.is_number and value.is_finite else None


def _read_number(text: str, *_: Any, **__: Any) -> Any:
    """What stands in the place of sympy's `parse_expr`: it reads numbers, and fractions (sympy's tables have some)."""
    sympy = import_module("sympy")
    if _FRACTION.fullmatch(text):
        return sympy.Rational(*map(int, text.split("/")))
    if not _DECIMAL.fullmatch(text):
        raise ValueError("only numbers are read from text here")
    return sympy.Float(text)


class Symbolic:
    """The owner of the tier's processes, which start with the first question."""

    def __init__(self, *, size: int = 1, deadline: float = 2.0, memory: int | None = 3 << 29) -> None:
        self._failed = False
        self._started = False
        self._pool = WorkerPool(
            f"{__name__}:factory", size=size, deadline=deadline, memory=memory, warm=f"{__name__}:preload"
        )

    def available(self) -> bool:
        """Whether math-verify is installed (extra `math`); imports nothing."""
        return find_spec("math_verify") is not None

    def __call__(self, answer: str, reference: str) -> tuple[bool | None, str]:
        """(equal, "ok"), or None with `undecided`, `timeout`, `memory` or `error`. Never raises."""
        if self._failed:
            return None, "error"
        if not self.available() or not askable(answer, reference):
            return None, "undecided"
        if not self._started:
            try:
                self._pool.start()
            except OneshotError:
                self._failed = True  # a broken installation stays broken; asking again would cost a second each time
                return None, "error"
            self._started = True
        outcome = self._pool([reference, answer])
        status = "undecided" if outcome.status == "ok" and outcome.value is None else outcome.status
        return outcome.value, status

    def close(self) -> None:
        """End the processes; idempotent."""
        self._pool.close()
