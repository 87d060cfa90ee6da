"""Words and numbers of the page. Whatever a model wrote is hostile until it passed through here.

Two dangers differ: markup (escaped by `markupsafe`, also by the templates) and characters that are invisible or act on
the reader's screen (terminal escapes, bidirectional overrides, zero-width characters), which are replaced by a visible
name. Formulas go through `latex2mathml`, whose output lets markup through, so it is filtered by an allow-list.
"""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

from oneshot._store.values import is_number

_JOINERS = "\u200c\u200d"  # Persian and emoji need them, and they cannot reorder text
_C0 = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI"),
    *("DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"),
)
_NAMED = re.compile("⟨(?:U\\+[0-9A-F]{4,6}|[A-Z][A-Z0-9]{1,2})⟩")
_MATH = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$(?!\s)([^$\n]+?)(?<!\s)\$", re.DOTALL)
_LOOKS_LIKE_MATH = re.compile(r"[\\^_={}]|^[A-Za-z]$|^[\d.,]+$|[A-Za-z]\s*[-+*/<>]|[-+*/<>]\s*[A-Za-z]")
_MATHML_TAGS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msup", "msub", "msubsup", "msqrt", "mroot"),
    *("mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "menclose"),
}
_MATHML_ATTRIBUTES = {
    "math": {"display"},
    "menclose": {"notation"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence"},
    "mspace": {"width"},
}
_LONGEST_FORMULA = 2000

MISSING = "not measured"
NARROW_SPACE = "\u202f"
MINUS = "\u2212"


def visible(text: str) -> str:
    """`text` with every control, format and bidirectional character, and lone surrogate, replaced by a visible name.

    New lines and tabs stay. Escape becomes `⟨ESC⟩`, U+202E becomes `⟨U+202E⟩`. Applying it twice changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown_character(c) for c in text)


def _shown_character(char: str) -> str:
    if char in "\n\t" or char in _JOINERS:
        return char
    code = ord(char)
    if code < 0x20:
        return f"⟨{_C0[code]}⟩"
    if code == 0x7F:
        return "⟨DEL⟩"
    return f"⟨U+{code:04X}⟩" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char


def escaped(text: str) -> Markup:
    """Untrusted text as safe HTML: escaped, control characters named and marked."""
    body = escape(visible(text))
    return Markup(_NAMED.sub(lambda m: f'<span class="ctl">{m[0]}</span>', str(body)))


def left_out(characters: int) -> Markup:
    """What is said in place of characters that are not shown; nothing where there are none."""
    if characters <= 0:
        return Markup("")
    return Markup('<span class="more">… {} more characters not shown</span>').format(f"{characters:,}")


def model_text(text: str, limit: int = 4000) -> Markup:
    """Untrusted text as safe HTML, at most `limit` characters of it.

    What is left out is said in characters, so that a shortened text never looks whole.
    """
    return escaped(text[:limit]) + left_out(len(text) - limit)


def has_formula(text: str) -> bool:
    """Whether `typeset` would set anything as a formula (`$5 and $7` is money, not mathematics)."""
    return any(_formula(m) for m in _MATH.finditer(text))


def _formula(match: re.Match[str]) -> str:
    """The LaTeX inside a match of `_MATH`, empty if it is not to be typeset."""
    body = next(group for group in match.groups() if group is not None)
    if len(body) > _LONGEST_FORMULA or (match[4] is not None and not _LOOKS_LIKE_MATH.search(body)):
        return ""
    return body.strip()


def typeset(text: str) -> Markup:
    r"""`text` as safe HTML with its `$..$`, `$$..$$`, `\(..\)` and `\[..\]` formulas as MathML; the rest escaped.

    A formula that cannot be converted stays as it was written.
    """
    out, end = Markup(), 0
    for match in _MATH.finditer(text):
        out += escape(visible(text[end : match.start()]))
        display = match[1] is not None or match[2] is not None
        latex = _formula(match)
        out += (_mathml(latex, display) if latex else None) or escape(visible(match[0]))
        end = match.end()
    return out + escape(visible(text[end:]))


def _mathml(latex: str, display: bool) -> Markup | None:
    """Filtered MathML of one formula, None where the converter gives up."""
    import latex2mathml.converter
    import latex2mathml.exceptions
    import nh3

    found = vars(latex2mathml.exceptions).values()
    broken: tuple[type[Exception], ...] = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
    broken += tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
    try:
        raw = latex2mathml.converter.convert(visible(latex), display="block" if display else "inline")
    except broken:
        return None  # the converter has no common error class and fails in many ways on broken input
    clean = nh3.clean(raw, tags=_MATHML_TAGS, attributes=_MATHML_ATTRIBUTES, link_rel=None)
    return Markup(clean) if re.sub(r"<[^>]*>", "", clean).strip() else None


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as `58.3 %`; `not measured` for None."""
    return f"{100 * value:.{digits}f}{NARROW_SPACE}%" if is_number(value) else MISSING


def points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points with its sign, `+37.4`; `not measured` for None."""
    if not is_number(value):
        return MISSING
    shown = f"{abs(100 * value):.{digits}f}"
    return ("" if float(shown) == 0 else "+" if value > 0 else MINUS) + shown


def number(value: object, digits: int = 3) -> str:
    """A number with `digits` significant ones and thousands separators, `not measured` for anything else."""
    if not is_number(value):
        return MISSING
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", MINUS)
    if value != 0 and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}".replace("-", MINUS)
    return f"{value:.{digits}g}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """`41 s`, `6 min 05 s`, `2 h 07 min`; below ten seconds one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def polished(text: str) -> str:
    """Numbers of a plain sentence as this page writes them: `36.0%` as `36.0 %`, `-1.2` with a minus sign."""
    text = re.sub(r"(?<=\d)%", f"{NARROW_SPACE}%", text)
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)
