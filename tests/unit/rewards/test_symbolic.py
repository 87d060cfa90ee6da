r"""The tier behind math-verify. Its processes are tested in `test_workers.py`, its judgement here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneshot.rewards import symbolic
from oneshot.rewards.symbolic import Symbolic, askable

GUARD = 30.0  # seconds after which something hangs; no measure of speed
pytest.importorskip("math_verify")


@pytest.fixture(scope="module")
def tier() -> Iterator[Symbolic]:
    made = Symbolic(deadline=GUARD)
    yield made
    made.close()


EQUAL = [
    (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
    (r"$\sum_{k=1}^{10} k$", "55"),
    (r"\int_0^1 x^2\,dx", r"\frac{1}{3}"),
    (r"\int_0^{\infty} e^{-x} dx", "1"),
    (r"\prod_{k=1}^{5} k", "120"),
    (r"\lim_{x\to 0} \frac{\sin x}{x}", "1"),
    (r"\log_2 8", "3"),
    (r"\sqrt[3]{8}", "2"),
    (r"\lfloor \sqrt{10} \rfloor", "3"),
    (r"\binom{5}{2}", r"\left(10\right)"),
    ("(x-1)(x+1)", "x^2-1"),
]
DIFFERENT = [
    (r"\sum_{k=1}^{n} k", r"\frac{n(n-1)}{2}"),
    (r"\sum_{k=1}^{10} k", "56"),
    (r"\int_0^1 x^2\,dx", r"\frac{1}{4}"),
    (r"\lim_{x\to 0} \frac{\sin x}{x}", "0"),
    (r"\sin x", r"\cos x"),
    ("3mm", "3m"),  # no units are dropped here
    # An absolute precision would call the next ones equal.
    (r"\frac{\sqrt{2}}{100000000000000000000}", r"\frac{\sqrt{2}}{200000000000000000000}"),
    (r"\frac{\pi x}{1000000000000000000000000}", r"\frac{2 \pi x}{1000000000000000000000000}"),
]


@pytest.mark.parametrize(
    ("answer", "reference", "equal"), [(*p, True) for p in EQUAL] + [(*p, False) for p in DIFFERENT]
)
def test_a_pair_is_decided_either_way_round(tier: Symbolic, answer: str, reference: str, equal: bool) -> None:
    assert tier(answer, reference) == (equal, "ok")
    assert tier(reference, answer) == (equal, "ok")


NOT_ASKED = [
    ("", ""),
    ("", "1"),
    ("$$", "$$"),
    ("1/2004!", "1/2006!"),
    ("1/2^{99}", "1/2^{98}"),
    ("1/2^99", "1/2^98"),
    (r"\frac{1}{10^{30}}", r"\frac{1}{10^{31}}"),
    (r"x^{y_1}", "x"),
    (r"9^{9^{9^9}}", r"\sqrt{2}"),
    (r"9^{a+{9^9}}", r"9^{a+{9^9}}"),
    ("204_5", "204_6"),
    ("x_1", "x_2"),
    ("R", "r"),
    ("R - r", "r - R"),
    ("e", "E"),
    (r"\Pi", r"\pi"),
    ("x'", "x"),
    ("apple", "elppa"),
    (r"\text{a}", "a"),
    ("5m", "5"),
    ("x", "y"),
    ("x=5", "5"),
    ("2x=4", "4"),
    ("x<5", "5>x"),
    ("2,3", "3,2"),
    (r"\{2,3\}", "(2,3)"),
    ("0.5", r"\frac{1}{2}"),
    (r"5\%", "5"),
    (r"30^\circ", "30"),
    ("{x", "x}"),
    ("5} + \\boxed{5", "5"),
    ("5$ and $5", "5"),
    (r"\input{x}", "x"),
    ("x" * 10 + "+x" * 200, "x"),
]


@pytest.mark.parametrize(("answer", "reference"), NOT_ASKED)
def test_what_math_verify_is_known_to_misread_is_not_asked(tier: Symbolic, answer: str, reference: str) -> None:
    assert not askable(answer, reference) and not askable(reference, answer)
    assert tier(answer, reference) == (None, "undecided")
    assert tier._pool([reference, answer]).value is None  # the worker does not trust its caller either


def test_math_verify_alone_would_have_said_yes(root: Path) -> None:
    """The refusals above are needed: without them some of these pairs are equal to it."""
    pairs = [("204_5", "204_6"), ("R", "r"), ("apple", "elppa"), (r"\Pi", r"\pi"), ("x'", "x")]
    body = (
        f"pairs = {pairs!r}\nprint(json.dumps([verify(*map(symbolic._parse, p), timeout_seconds=None) for p in pairs]))"
    )
    assert json.loads(worker(root, body)) == [True] * len(pairs)


def worker(root: Path, body: str) -> str:
    """What a fresh process prints that has made itself ready as a worker does."""
    head = (
        f"import json, sys; sys.path.insert(0, {str(root)!r})\nfrom oneshot.rewards import symbolic\n"
        "symbolic.preload()\nfrom math_verify import verify\n"
    )
    done = subprocess.run([sys.executable, "-c", head + body], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "bomb",
    [
        r"9^{9^{9^9}}",
        r"\binom{10^9}{5\cdot 10^8}",
        r"99999999999!",
        r"\prod_{k=1}^{100000000} k",
        r"\sum_{k=1}^{1000000000} \sin k",
        "((((9^9)^9)^9)^9)^9",
        "(" * 140 + "x" + ")" * 140,
    ],
)
def test_a_bomb_is_answered_in_time_and_the_tier_lives_on(bomb: str) -> None:
    tier = Symbolic(deadline=0.5)
    for reference in ("12.8", r"\sqrt{2}"):
        start = time.monotonic()
        decision, status = tier(bomb, reference)
        assert decision is not True and status in {"ok", "undecided", "timeout", "memory"}
        assert time.monotonic() - start < GUARD
    tier._pool.deadline = GUARD
    assert tier(r"\sum_{k=1}^{4} k", "10") == (True, "ok")
    tier.close()


PAYLOADS = [
    "__import__('pathlib').Path({marker!r}).touch()",
    "open({marker!r},'w')",
    "exec(\"open({marker!r},'w')\")",
    r"\operatorname{{open}}({marker!r},'w')",
    r"\text{{__import__('pathlib').Path({marker!r}).touch()}}",
    "[c for c in ().__class__.__base__.__subclasses__()]",
    "lambda: open({marker!r},'w')",
    r"\frac{{open({marker!r},'w')}}{{1}}",
]


def test_no_code_in_a_text_is_run(tier: Symbolic, tmp_path: Path, root: Path) -> None:
    marker = tmp_path / "marker"
    texts = [payload.format(marker=str(marker)) for payload in PAYLOADS]
    for text in texts:
        assert tier(text, "1")[0] is None and tier("1", text)[0] is None
    # Nor does the parser behind the refusals run anything; even a number reaches no `eval`.
    body = f"""
seen = []
sys.addaudithook(lambda event, _: event in ("compile", "exec") and seen.append(event))
found = [repr(symbolic._parse(text)) for text in [r"\\frac{{31}}{{47}} + 2.5 x", *{texts!r}]]
print(json.dumps([found[0], [name for name in seen]]))
"""
    assert json.loads(worker(root, body)) == ["[2.5*x + 31/47]", []]
    assert not marker.exists()


def test_native_integers_are_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path) -> None:
    for name in ("gmpy2", "gmpy", "flint"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    tier = Symbolic(deadline=GUARD)
    assert tier(r"\binom{6}{3}", "20") == (True, "ok")
    tier.close()
    assert not (tmp_path / "marker").exists()
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r})\nsys.modules['gmpy2'] = sys\n"
        "from oneshot.rewards import symbolic\nsymbolic.preload()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode and "RuntimeError: gmpy2 is loaded already" in done.stderr


def test_without_math_verify_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "find_spec", lambda _: None)
    tier = Symbolic()
    assert not tier.available()
    assert tier(r"\binom{6}{3}", "20") == (None, "undecided")
    assert tier._pool._crew._hatchery is None


def test_a_broken_installation_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "math_verify.py").write_text(
        f"open({str(tmp_path / 'tries')!r}, 'a').write('x')\nraise ImportError('no antlr4 runtime')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tier = Symbolic()
    assert tier(r"\binom{6}{3}", "20") == (None, "error")
    tries = (tmp_path / "tries").read_text()
    assert tier(r"\binom{6}{3}", "20") == (None, "error")
    assert (tmp_path / "tries").read_text() == tries
    tier.close()


def test_this_process_imports_neither_sympy_nor_math_verify(root: Path) -> None:
    code = (
        "import sys; from oneshot.rewards.symbolic import Symbolic; s = Symbolic(); s.available()\n"
        "print([n for n in ('sympy', 'math_verify', 'mpmath', 'torch', 'numpy') if n in sys.modules])"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "[]\n"
