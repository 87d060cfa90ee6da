r"""The training reward of the paper (arXiv 2504.20571), written anew from a description of its rules.

The answer is the content of the last `\boxed`, which must read `\boxed{` and be closed; a label with a `\boxed` is read
the same way. It is right under either of two rules; `method` of the verdict names the one that decided.

- `mathd`: both texts, normalised as for the MATH data set, are the same characters.
- `sympy-...`, after the PRM800K grader, on a plain text without units, percent and currency signs and LaTeX:
  `sympy-text` the same text; `sympy-tuple` another bracket or another number of elements; `sympy-fraction` two
  fractions that are not the same text (8/6 is not 4/3); `sympy-integer` a whole number against something else (8/2 is
  not 4); `sympy-refused` more than two different letters, or an exponent that could grow; `sympy-value` a zero
  difference.

So `12.8 mph` is refused for the label 12.8 and `12.8\text{ mph}` is right, as in the paper. Known leniencies, kept:
case is ignored, `4 2` is 42, `32, 349` is 32349, `5 \text{ or } 6` is 5, `x = 5` is 5, whole numbers are compared as
floats (10^16 is 10^16 + 1, and 3e-10 is 0). Of several boxes the last one counts, so naming many values can pay.

Departures from the paper:

- Only the response is graded. The paper decodes prompt and response into one text, whose prompt holds `\boxed{}`, so a
  response without a box answers with the empty text there.
- An empty reference never matches. In the paper an answer without a box is right for row 265 of DSR-sub, whose label is
  empty.
- sympy is replaced by bounded evaluation (`answers.values`): nothing of a text is executed, and time is bounded
  by caps instead of not at all. What it cannot read is `undecided`, and wrong.
- The plain text keeps the precedence of its LaTeX: `\frac{x+1}{2}` is (x+1)/2 and a root keeps its index.
- With `think`, `</think>` alone is required: chat templates write `<think>` at the end of the prompt.
"""

from __future__ import annotations

import re

from oneshot.rewards.answers.values import equal_values
from oneshot.rewards.paper.text import (
    MAX_ANSWER,
    MAX_RESPONSE,
    braced,
    last_boxed,
    rational,
    repaired,
    split_at_commas,
    without_name,
)
from oneshot.types import Verdict

MAX_LETTERS = 2
"""More different letters than this in answer and label together are not evaluated."""
MAX_PARTS = 64
"""A longer tuple is not compared element by element."""

_END_OF_THOUGHT = "</think>"
_TEXT = re.compile(r"\\text\{([^{}]+)\}")
_BREAKS = ("\n", r"\!", r"\left", r"\right", r"^{\circ}", r"^\circ", r"\$")
_UNITS = re.compile(
    r"(?:degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard)"
    r"(?:es)?s?[ ]*+(?:\^[0-9]++)?"
)
_SCALES = (("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12"))
_SUM = re.compile(r"(?<!^)[-+=, ]")
_ATOM = re.compile(r"-?(?:[0-9.]+|[A-Za-z]|\\[A-Za-z]+|sqrt\([^()]*\))")
_GROUP = re.compile(
    r"\\frac ?\{(?P<top>[^{}]*)\} ?\{(?P<bottom>[^{}]*)\}"
    r"|\\sqrt ?(?:\[(?P<index>[^][{}]*)\])?\{(?P<root>[^{}]*)\}"
    r"|\\(?:text|textbf|textrm|mathrm|mathbf|mbox|operatorname) ?\{(?P<words>[^{}]*)\}"
    r"|\^ ?\{(?P<power>[^{}]*)\}"
    r"|(?<![A-Za-z_}\]])\{(?P<plain>[^{}]*)\}"
)
_MAX_NESTING = 50
_WORDS = (
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "*"),
    (re.compile(r"\\infty(?![A-Za-z])"), "inf"),
    (re.compile(r"\\cup(?![A-Za-z])"), "U"),
    (re.compile(r"\\(?:left|right|displaystyle|q?quad)(?![A-Za-z])|\\[,;:!]"), ""),
    (re.compile(r"\\ "), " "),
)
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_GREEK_NAMES = "alpha beta gamma delta theta lambda mu rho sigma tau phi chi psi omega"
_GREEK = dict(zip(_GREEK_NAMES.split(), "αβγδθλμρστφχψω", strict=True))
_MIXED = re.compile(r"(?<![0-9.])([0-9]{1,40}) +([0-9]{1,40}/[0-9]{1,40})")
_NUMBER = re.compile(r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[-+]?[0-9]{1,3})?")
_FRACTION = re.compile(r"-?[0-9]+/0*[1-9][0-9]*")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_GROWS = re.compile(r"\^[({]|\^[0-9]+\^|\^[0-9]{2}")


def grade(response: str, reference: str, *, think: bool = False) -> Verdict:
    r"""The paper's training reward for one response; never raises, and time is bounded.

    `think` is for models that think in tags (R1-Distill): the answer stands after the first `</think>`, and without one
    there is none. `seconds` of the verdict is left to the caller, who times every grader alike.
    """
    if think:
        _, tag, response = response.partition(_END_OF_THOUGHT)
        if not tag:
            return _none("the response has no </think>")
    answer = last_boxed(response[-MAX_RESPONSE:])
    if answer is None:
        return _none(r"the last \boxed of the response is not a closed \boxed{...}, or there is none")
    shown = answer[:MAX_ANSWER]
    label = last_boxed(reference) if r"\boxed" in reference else reference
    if label is None:
        message = r"the reference holds a \boxed that is not a closed \boxed{...}"
        return Verdict(correct=False, extracted=shown, method="none", status="error", message=message)
    if not answer.strip() or not label.strip():
        message = "the box is empty" if label.strip() else "the reference is empty"
        return Verdict(correct=False, extracted=shown, method="none", status="empty", message=message)
    if max(len(answer), len(label)) > MAX_ANSWER:
        message = f"the answer or the reference has more than {MAX_ANSWER} characters"
        return Verdict(correct=False, extracted=shown, method="none", status="undecided", message=message)
    equal, method = _decide(answer, label)
    status = "undecided" if equal is None else "ok"
    return Verdict(correct=equal is True, extracted=shown, method=method, status=status)


def _none(message: str) -> Verdict:
    return Verdict(correct=False, extracted=None, method="none", status="no_answer", message=message)


def _decide(answer: str, label: str) -> tuple[bool | None, str]:
    if (normal := mathd(answer)) and normal == mathd(label):
        return True, "mathd"
    given, wanted = plain(answer), plain(label)
    if not given or not wanted or given == wanted:
        return bool(given) and given == wanted, "sympy-text"
    parts, targets = _parts(given), _parts(wanted)
    brackets = (given[0], given[-1]) == (wanted[0], wanted[-1])
    if len(parts) != len(targets) or (len(targets) > 1 and not brackets):
        return False, "sympy-tuple"
    decided: tuple[bool | None, str] = (True, "sympy-tuple")
    for part, target in zip(parts, targets, strict=True):
        equal, method = _same_element(part, target)
        if equal is False:
            return False, method
        if equal is None or len(targets) == 1:
            decided = (equal, method)
    return decided


def _same_element(answer: str, label: str) -> tuple[bool | None, str]:
    if answer == label:
        return True, "sympy-text"
    if _FRACTION.fullmatch(answer) and _FRACTION.fullmatch(label):
        return False, "sympy-fraction"
    if _is_whole(answer) != _is_whole(label):
        return False, "sympy-integer"
    both = f"({label})-({answer})"
    letters = {char for char in both.replace("sqrt", "").replace("frac", "") if char.isalpha()}
    if len(letters) > MAX_LETTERS or _GROWS.search(both):
        return False, "sympy-refused"
    ours, theirs = rational(answer), rational(label)
    if ours is not None and theirs is not None:
        return ours == theirs, "sympy-value"
    if "," in both:  # a list without brackets is no expression
        return False, "sympy-value"
    return equal_values(answer, label), "sympy-value"


def mathd(text: str) -> str:
    r"""`text` normalised as for the MATH data set: spacing, `\%`, `\$`, degrees, a trailing `\text{ unit}`, `k=` go.

    `\tfrac`, `\dfrac`, `\frac12`, `\sqrt3`, `a/b` (whole), `.5` get one form each; only 0.5 becomes a fraction.
    """
    text = text.strip()
    original = text = match[1].strip() if (match := _TEXT.fullmatch(text)) else text
    for noise in _BREAKS:
        text = text.replace(noise, "")
    text = text.replace(r"\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    if text.count(r"\text{ ") > 1:  # two texts are no unit; such an answer is compared as it stands
        return original
    text = text.partition(r"\text{ ")[0].replace(r"\%", "").replace("%", "")
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    text = without_name("0" + text if text.startswith(".") else text)
    text = repaired(text)
    return r"\frac{1}{2}" if text == "0.5" else text


def plain(text: str) -> str:
    """`text` without LaTeX, braces, spaces, units and signs of percent and currency, in lower case."""
    text = match[1] if (match := _TEXT.fullmatch(text.strip())) else text
    for sign in (r"\%", r"\$", "%", "$"):
        text = text.replace(sign, "")
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    for word, factor in _SCALES:
        text = text.replace(word, factor)
    text = re.sub(r"\^ *\\circ|\^ *\{ *\\circ *\}", "", _UNITS.sub("", text))
    text = re.sub(r",\\! *", "", text)
    text = _without_latex(text) if "\\" in text else text
    text = _MIXED.sub(r"(\1+\2)", re.sub(r"- *", "-", text)) if " " in text else text
    text = re.sub(r"[{} \n]", "", text).lower()
    return str(round(float(text.replace(",", "")))) if _is_whole(text) else text


def _without_latex(text: str) -> str:
    text = text.replace(r"\{", "").replace(r"\}", "")
    text = re.sub(r"\\[td]frac", r"\\frac", text)
    text = re.sub(r"(?<=[0-9])\\frac", r" \\frac", text)  # a mixed number
    text = braced(re.sub(r"\\(sqrt|frac) +", r"\\\1", text))
    for _ in range(_MAX_NESTING):
        text, count = _GROUP.subn(_flat, text)
        if not count:
            break
    for pattern, new in _WORDS:
        text = pattern.sub(new, text)
    return _COMMAND.sub(lambda command: _GREEK.get(command[1], command[1]), text).strip()


def _flat(group: re.Match[str]) -> str:
    """One innermost LaTeX group as plain text; brackets only where the text would mean something else without."""
    if group["top"] is not None:
        top, bottom = group["top"].strip(), group["bottom"].strip()
        top = f"({top})" if _SUM.search(top) else top
        return f"{top}/{bottom}" if _ATOM.fullmatch(bottom) else f"{top}/({bottom})"
    if group["root"] is not None:
        index = group["index"]
        return f"sqrt({group['root']})" if index in (None, "", "2") else f"({group['root']})^(1/{index})"
    if group["power"] is not None:
        power = group["power"].strip()
        return f"^{power}" if _ATOM.fullmatch(power) else f"^({power})"
    return str(group["words"] if group["words"] is not None else group["plain"])


def _parts(text: str) -> list[str]:
    """The elements of a bracketed list, else the text alone; commas between thousands are taken out."""
    text = _THOUSANDS.sub("", text)
    if len(text) > 2 and text[0] in "([" and text[-1] in ")]" and not re.search(r"[][()]", text[1:-1]):
        parts = split_at_commas(text[1:-1])
        return parts if len(parts) <= MAX_PARTS else [text]
    return [text]


def _is_whole(text: str) -> bool:
    """Whether `text` is a whole number to within 1e-7 as a float; commas between thousands are ignored."""
    text = _THOUSANDS.sub("", text)
    if len(text) > 300 or not _NUMBER.fullmatch(text):
        return False
    value = float(text)
    return abs(value) < 1e300 and abs(value - round(value)) <= 1e-7
