"""Properties of grading on 20,000 generated pairs: nothing raises or hangs, order does not matter, nor who asks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneshot.rewards.answers.compare import Decision, same
from oneshot.rewards.functions import VERIFIERS

GENERATED = settings(
    derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip
PAIRS = {"fragments": 12_000, "near": 5_000, "rewritten": 2_000, "one more": 1_000}
assert sum(PAIRS.values()) == 20_000

# Fragments of LaTeX in any order: mostly no mathematics at all.
_FRAGMENTS = [
    *[r"\frac", r"\frac12", r"\sqrt", r"\sqrt[3]", r"\pi", r"\infty", r"\sin", r"\ln", r"\log_2", r"\binom", r"\cdot",
    r"\times", r"\pm", r"\cup", r"\cap", r"\in", r"\le"],
    *[r"<", r">", r"=", r"\ne", r"|", r"!", r"^", r"_", r"^2", r"^\circ", r"\%", r"{", r"}", r"(", r")", r"[", r"]",
    r"\{", r"\}", r",", r";", r":", r".", r"-", r"+", r"*", r"/", r"&", r"\\", r"$", r"\$", r"\text{", r"\text{or}",
    r"\boxed{"],
    *[r"\text{cm}", r"\mathrm", r"\left", r"\right", r"\begin{pmatrix}", r"\end{pmatrix}", r"0", r"1", r"2", r"12.8",
    r"0.5", r"1,234", r"10", r"1e5", r"x", r"y", r"a", r"e", r"i"],
    *("f(x)", "and", "or", "32,", "cm", "%", "million"),
    *(" ", "√", "²", "½", "∞", "\u2212", "\u00a0", "\x00", "\ud800", "\u202e", "**", "True", "nan"),
]  # fmt: skip
FRAGMENTS = st.lists(st.sampled_from(_FRAGMENTS), min_size=1, max_size=9).map("".join)
TWO = st.lists(st.sampled_from(_FRAGMENTS), min_size=2, max_size=14).map(lambda f: ("".join(f[::2]), "".join(f[1::2])))


def _binary(child: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    forms = [
        "({0}+{1})",
        "({0}-{1})",
        "{0}*{1}",
        r"\frac{{{0}}}{{{1}}}",
        "({0})^2",
        r"\sqrt{{{0}}}",
        "|{0}|",
        "-({0})",
        r"{0}\cdot({1})",
    ]
    return st.tuples(st.sampled_from(forms), child, child).map(lambda t: t[0].format(t[1], t[2]))


LEAVES = st.one_of(
    st.integers(0, 60).map(str), st.sampled_from(["x", "y", "a", r"\pi", "e", r"\sqrt{2}", "0.25", r"\frac{3}{7}"])
)
EXPRESSIONS = st.recursive(LEAVES, _binary, max_leaves=6)
CONSTANTS = st.recursive(st.integers(1, 60).map(str) | st.sampled_from([r"\pi", "e", r"\sqrt{2}", "0.25",
r"\frac{3}{7}"]),
                         lambda c: st.tuples(st.sampled_from(["({0}+{1})", "{0}*{1}", r"\frac{{{0}}}{{{1}}}"]), c, c)
                         .map(lambda t: t[0].format(t[1], t[2])), max_leaves=5)  # fmt: skip
REWRITTEN = [
    ("({0})+({1})", "({1})+({0})"),
    ("({0})*({1})", r"({1})\cdot({0})"),
    (r"\frac{{{0}}}{{7}}+({1})", "({1})+({0})/(7)"),
    ("3*(({0})+({1}))", "3*({1})+3*({0})"),
    ("({0})+({1})", r"\left({0}\right)-\left(-({1})\right)"),
    ("(({0})+({1}))^2", "({0})^2+2({0})({1})+({1})^2"),
    ("({0})+30", "({0})+5*6"),
    ("({0})-2^3", r"({0})-\frac{{16}}{{2}}"),
    ("({0}), ({1})", "{1}, {0}"),
    ("z+({0}) < ({1})", "({1}) > ({0})+z"),
]


def both(a: str, b: str) -> Decision:
    """The decision on a pair, after checking that it is the same the other way round and a second time."""
    there = same(a, b)
    assert (there.equal is True) is (same(b, a).equal is True)
    assert same(a, b) == there
    return there


@settings(GENERATED, max_examples=PAIRS["fragments"])
@given(TWO)
def test_fragments(pair: tuple[str, str]) -> None:
    both(*pair)


@settings(GENERATED, max_examples=PAIRS["near"])
@given(st.tuples(EXPRESSIONS, EXPRESSIONS) | st.tuples(EXPRESSIONS, FRAGMENTS))
def test_expressions(pair: tuple[str, str]) -> None:
    both(*pair)


@settings(GENERATED, max_examples=PAIRS["rewritten"])
@given(st.sampled_from(REWRITTEN), EXPRESSIONS, EXPRESSIONS)
def test_an_expression_equals_itself_rewritten(form: tuple[str, str], first: str, second: str) -> None:
    """Where it has values at all: `1/0 + 2` rewritten is open, and never called different."""
    a, b = (text.format(first, second) for text in form)
    decision = both(a, b)
    if has_values(first) and has_values(second):
        assert decision.equal is True
    else:
        assert decision.equal is not False


def has_values(text: str) -> bool:
    """Whether an expression is decided beside itself written differently: it is defined where it is looked at."""
    return same(f"({text})+1", f"1+({text})").equal is True


@settings(GENERATED, max_examples=PAIRS["one more"])
@given(EXPRESSIONS | CONSTANTS)
def test_an_expression_differs_from_itself_and_one(text: str) -> None:
    assert both(text, f"({text})+1").equal is not True
    assert both(f"({text}, 2)", f"({text}+1, 2)").equal is not True


@settings(GENERATED, max_examples=300)
@given(FRAGMENTS | EXPRESSIONS, FRAGMENTS | EXPRESSIONS)
def test_the_graders_answer_and_answer_the_same_again(answer: str, reference: str) -> None:
    for name in ("math", "math-lenient", "number", "choice", "exact"):
        first, again = (VERIFIERS.build(name)(f"So $\\boxed{{{answer}}}$ is it.", reference) for _ in range(2))
        assert replace(first, seconds=0) == replace(again, seconds=0)
        assert first.status in ("ok", "no_answer", "empty", "undecided")


SAMPLES = [(r"\sqrt{12}", r"2\sqrt{3}"), (r"\frac{x^2-1}{x-1}", "x+1"), ("3.14159", r"\pi"), ("x>3", r"(3,\infty)"),
("{", "}"), ("1,2", "2,1"),
           ("(1,2)", "(2,1)"), (r"\sin x", r"\cos x"), ("9^{9^{9^9}}", r"\sqrt{2}"), (r"35\%", "0.35"),
           (r"\sum 1", "1")]  # fmt: skip


def test_a_fresh_process_and_a_fresh_thread_say_the_same() -> None:
    here = [list(same(a, b)) for a, b in SAMPLES]
    assert [row[0] for row in here] == [True, True, True, True, False, True, False, False, False, True, None]
    code = (
        "import json, sys\nfrom oneshot.rewards.answers.compare import same\n"
        "print(json.dumps([list(same(a, b)) for a, b in json.loads(sys.argv[1])]))"
    )
    for seed in ("0", "1"):  # the order of sets does not matter
        command = [sys.executable, "-X", "utf8", "-c", code, json.dumps(SAMPLES)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=120, env={"PYTHONHASHSEED": seed}
        )
        assert json.loads(done.stdout) == here
    found: list[list[object]] = []
    thread = threading.Thread(target=lambda: found.extend(list(same(f" {a}", b)) for a, b in SAMPLES))
    thread.start()
    thread.join(60)
    assert [row[0] for row in found] == [row[0] for row in here]


@pytest.mark.parametrize(
    "text", ["12.8", r"\frac{1}{3}", "x", r"\sqrt{2}", r"\pi", "2^{100}", "7!", "x^2-9", "1e-9", "0"]
)
@pytest.mark.parametrize("step", ["1", "-1", "0.1", r"\frac{1}{1000}", "10^{-20}", "x/7", r"\pi"])
def test_a_small_step_is_seen(text: str, step: str) -> None:
    assert same(text, f"{text}+{step}").equal is False
