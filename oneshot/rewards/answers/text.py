r"""One spelling for what is written many ways: Unicode to LaTeX, LaTeX without its layout. Says nothing about meaning.

`clean` is what every tier of the verifier reads. It is linear in the text and its output is pure ASCII, except for
characters that it does not know, which no tier reads as mathematics.
"""

from __future__ import annotations

import re
import unicodedata

MAX_ANSWER = 2_000
"""A longer answer is not read; the longest reference of the benchmarks has 210 characters."""

NEVER = frozenset({"", "nan", "none", "null", "true", "false", "undefined"})
"""Answers that nothing matches, themselves included: what a program prints when it has no answer."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣᵏᵗ", "0123456789+-()nixkt")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₖₓ", "0123456789+-()nkx")
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho",
    "σ": "sigma", "τ": "tau", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma",
    "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_SYMBOLS = {
    **{letter: rf"\{name} " for letter, name in _GREEK.items()},
    **dict.fromkeys("−–—‐‑﹣", "-"), **dict.fromkeys("×✕✖⨯", r"\times "), **dict.fromkeys("·⋅∙•∗", r"\cdot "),
    **dict.fromkeys("÷∕⁄", "/"), **dict.fromkeys("≤⩽≦", r"\le "), **dict.fromkeys("≥⩾≧", r"\ge "),
    **dict.fromkeys("⟨〈", r"\langle "), **dict.fromkeys("⟩〉", r"\rangle "), **dict.fromkeys("°˚º", r"^\circ "),
    **dict.fromkeys("′’‘", "'"), **dict.fromkeys("∣｜", "|"), **dict.fromkeys("、﹐", ","),
    **dict.fromkeys("€£¥₹", "$"),
    "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "∞": r"\infty ", "≠": r"\ne ", "≈": r"\approx ",
    "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∖": r"\setminus ", "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "±": r"\pm ", "∓": r"\mp ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ", "∧": r"\land ",
    "∨": r"\lor ", "ℯ": "e", "ⅇ": "e", "ⅈ": "i", "∠": r"\angle ", "→": r"\to ",
    "。": ".", "ℏ": r"\hbar ", "¢": " cents ", "Å": " angstrom ",
}  # fmt: skip
_TABLE = str.maketrans(_SYMBOLS)
_SCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣᵏᵗ]+|[₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₖₓ]+")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_GROUP_SPACE = re.compile(r"(?<=[0-9])(?:[\u00a0\u202f\u2009]|\\,|~)(?=[0-9]{3}(?![0-9]))")
_GROUP_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|,\\!\s?)(?=[0-9]{3}(?![0-9]))")

_LAYOUT = re.compile(
    r"\\(?:left|right|middle)(?![A-Za-z])\s?\.?(?<=[A-Za-z. ])|"
    r"\\(?:[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|mathstrut|strut|boxed|fbox|rm|bf|it)(?![A-Za-z])"
    r"|\\(?:hspace|vspace|color|phantom|hphantom)\*?\{[^{}]{0,40}\}|\\!|\\(?:pounds|euro|yen|textdollar|texteuro|textsterling)(?![A-Za-z])"
)
_SPACING = re.compile(r"\\[,;:> ]|~|\\q?quad(?![A-Za-z])|\\[()\[\]]|\\?\$|[\t\r\n]")
_OLD_ROMAN = re.compile(r"\{\s?\\rm(?![A-Za-z])([^{}]{0,99})\}")
_ROW_BREAK = re.compile(r"\\\\\s?(?:\[[^\]]{0,20}\])?|\\(?:newline|cr)(?![A-Za-z])")
_RENAMED = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"\\(?:text(?:rm|bf|it|sf|tt|up|normal)?|mbox|hbox)(?![A-Za-z])\s?(?=\{)"), r"\\text"),
    (re.compile(r"\\(?:math(?:bf|it|sf|normal)|boldsymbol|bm)(?![A-Za-z])\s?\{([A-Za-z]|[-+0-9.,/]+)\}"), r"\1"),
    (re.compile(r"\\mathrm\s?\{([ei])\}"), r" \1 "),
    (re.compile(r"\{([^{}]{1,99})\\over(?![A-Za-z])([^{}]{1,99})\}"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\mathring\s?\{A\}|\\AA(?![A-Za-z])|Å"), " angstrom "),
    (re.compile(r"\\operatorname\*?\s?\{([A-Za-z]{1,12})\}"), r"\\\1 "),
    (re.compile(r"\\degree(?![A-Za-z])|\\textdegree(?![A-Za-z])"), r"^\\circ "),
)
_PAIR = re.compile(r"(?<=[0-9])(?: ,|, | , )(?=[0-9]{3}(?![0-9]))")
_ROW_MARK = "\x01"


def clean(text: str) -> str:
    r"""`text` as ASCII LaTeX without layout: no `\left`, `$`, `\,`, display brackets, or outer full stop.

    Digits grouped by `{,}`, `,\!`, `\,` or a no-break space are joined; a plain comma is left, since `(3,100)` is a
    pair. Row breaks of matrices become `\\`. A dollar sign becomes a space, so `$1$,$234$` stays two numbers.
    """
    text = text.strip("\x00")
    if not text.isascii():
        text = _ascii(text)
    if "\\" in text or "$" in text or "~" in text or "{" in text:
        text = _latex(text)
    text = " ".join(text.split())
    text = text.removesuffix(".").removesuffix(",").rstrip()
    if len(text) > 4 and text.startswith("**") and text.endswith("**"):
        text = text.strip("* ").removesuffix(".").rstrip()
    return text


def compact(text: str) -> str:
    """`clean(text)` with no space but those between two letters or digits: the form in which texts are compared.

    The space of `32, 349` stays too, since without it that would be one number.
    """
    text = re.sub(r" (?![A-Za-z0-9])|(?<![A-Za-z0-9]) ", "", _PAIR.sub(",\x02", clean(text)))
    return text.replace("\x02", " ")


def _ascii(text: str) -> str:
    text = _GROUP_SPACE.sub("", text)
    text = _SCRIPTS.sub(lambda match: _script(match[0]), text)
    text = _VULGAR.sub(_fraction, text).translate(_TABLE)
    text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    return "".join(c for c in text if c.isascii() or unicodedata.category(c) != "Cf")


def _script(characters: str) -> str:
    """Superscript or subscript characters as `^{...}` or `_{...}`."""
    mark, table = ("^", _SUPERSCRIPTS) if ord(characters[0]) in _SUPERSCRIPTS else ("_", _SUBSCRIPTS)
    return f"{mark}{{{characters.translate(table)}}}"


def _fraction(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return rf"\frac{{{top}}}{{{bottom}}}" if top and bottom else match[0]


def _latex(text: str) -> str:
    text = _GROUP_COMMA.sub("", _GROUP_SPACE.sub("", text))
    text = _OLD_ROMAN.sub(r"\\text{\1}", _ROW_BREAK.sub(_ROW_MARK, text))
    text = _LAYOUT.sub(" ", text)
    text = _SPACING.sub(" ", text)
    for pattern, new in _RENAMED:
        text = pattern.sub(new, text)
    return text.replace(_ROW_MARK, r"\\ ")
