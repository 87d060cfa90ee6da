"""Where a change came from, as tables: other ways to count, factors, operations, transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oneshot.measure import gains
from oneshot.measure.differences import NOT_TESTED
from oneshot.measure.reasoning import OWN, WORDS
from oneshot.measure.scores import answered
from oneshot.report.gather import Facts, part
from oneshot.report.sections import named, own_scope
from oneshot.report.text import number, percent, points
from oneshot.types import EvalRow

STATES = ("cut", "none", "wrong", "right")


def counting(facts: Facts) -> tuple[str, list[str], list[list[str]]]:
    """(caption with n, column heads, rows) of other ways to count: box only, at the training limit, found, cut."""
    limit = part(facts.config, "rollout").get("max_new_tokens", "?")
    ways: list[tuple[str, Callable[[EvalRow], bool], str]] = [
        ("Right, as this run grades", gains.is_right, "id"),
        ("Right, only a complete \\boxed{} counts", gains.strict_box, "boxed"),
        (f"Right, same outputs cut at {limit} tokens (training limit)", gains.at_training_limit, "correct_short"),
        ("An answer was found", answered, "id"),
        ("Cut at the evaluation’s limit", lambda row: row.cut, "id"),
    ]
    parts: list[tuple[str, Sequence[EvalRow]]] = []
    if facts.held.base and facts.held.trained:
        of_kind = [("Own, base", facts.own(facts.held.base)), ("Own, trained", facts.own(facts.held.trained))]
        parts = [
            *(of_kind if own_scope(facts) else []),
            ("All, base", facts.held.base),
            ("All, trained", facts.held.trained),
        ]
    parts = [(name, rows) for name, rows in parts if rows]
    if not parts:
        return "", [], []
    kept = [way for way in ways if way[2] == "id" or all(way[2] in row.meta for row in parts[-1][1])]
    body = [[label, *(percent(gains.share(rows, has).estimate) for _, rows in parts)] for label, has, _ in kept]
    own = f"Own: the example’s kind, n {_problems(parts[0][1])}. " if len(parts) > 2 else ""
    heads = ["Share of responses", *(name for name, _ in parts)]
    return f"{own}All: every problem with the same weight, n {_problems(parts[-1][1])}.", heads, body


def _problems(rows: Sequence[EvalRow]) -> int:
    return len({row.id for row in rows})


def sampled(facts: Facts) -> list[tuple[str, str, str]]:
    """(measure, base, trained) of several samples a problem at the training temperature, where `--full` took them."""
    found = facts.summary.get("sampled")
    base, trained = (found.get(k) or {} for k in ("base", "trained")) if isinstance(found, Mapping) else ({}, {})
    keys = [key for key in base if "@" in key]
    return [(f"{key}, n {number(base.get('n'))}", percent(base[key]), percent(trained.get(key))) for key in keys]


FACTORS = {
    "found": "an answer was found",
    "right_given_found": "right, given that one was found",
    "finishing": "finishing: an answer, not cut",
    "operation": "operation: not another operation’s result",
    "arithmetic": "arithmetic: right, given those",
}


def decompositions(facts: Facts) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """(title, rows of factor, base, trained, effect in points) of each decomposition of the summary."""
    out = []
    for key in ("decomposition", "operation_decomposition"):
        found = facts.summary.get(key)
        parts = found.get("parts") if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or not isinstance(parts, Mapping):
            continue
        rows = [
            (FACTORS.get(name, named(name)), percent(p.get("base")), percent(p.get("trained")), points(p.get("effect")))
            for name, p in parts.items()
        ]
        product = " × ".join(named(name) for name in parts)
        change, n = points(found.get("change")), number(found.get("n"))
        out.append((f"Accuracy = {product}; together they carry {change} points, n {n}", rows))
    return out


def operations(facts: Facts) -> list[tuple[str, list[tuple[str, float, float]]]]:
    """(title, rows of answer class, base, trained) for the own kind and for all problems."""
    found = facts.summary.get("operations")
    if not isinstance(found, Mapping):
        return []
    out = []
    for key, title in (("own", "Own kind"), ("all", "All problems")):
        counts = found.get(key) or {}
        base, trained = counts.get("base", {}), counts.get("trained", {})
        classes = found.get("classes") or list(dict.fromkeys([*base, *trained]))
        rows = [(str(c), _count(base.get(c)), _count(trained.get(c))) for c in classes]
        rows = [row for row in rows if row[1] or row[2]]
        if rows:
            out.append((f"{title}, n {round(sum(before for _, before, _ in rows))}", rows))
    return out


def _count(value: object) -> float:
    """Problems, whole with one response each; of several responses each is its problem's share, to a tenth."""
    shown = round(float(value), 1) if isinstance(value, (int, float)) else 0
    return int(shown) if shown == int(shown) else shown


def transitions(facts: Facts) -> list[tuple[str, list[float]]]:
    """Rows of the 4 x 4 table: state before, then counts of the states after, in the order of `STATES`."""
    found = facts.summary.get("transitions")
    if isinstance(found, Mapping) and not set(found) & set(STATES):
        found = found.get("all") or next((v for v in found.values() if isinstance(v, Mapping)), None)
    if not isinstance(found, Mapping) or not found:
        return []
    return [(before, [_count(found.get(before, {}).get(after)) for after in STATES]) for before in STATES]


GAINS = {
    "gain_total": "Total: trained against base, only a complete box counts",
    "gain_format": "Format: the base read leniently, with a forced box, or trained on form alone, against its boxes",
    "gain_reasoning": "Beyond format: trained, read leniently, against the best baseline",
}
OWN_GAINS = {
    "gain_total": "Total: trained against base, as the evaluation grades",
    "gain_format": "Form: the base with a forced box, or trained on form alone, against the base as it stands",
    "gain_reasoning": "Beyond form: trained against the best baseline",
}
"""The same where no box is split off."""


def form(facts: Facts) -> list[tuple[str, str, str, str, str]]:
    """(gain, points, interval, baseline, what was claimed or is missing) of the three gains of the instruments."""
    out, told = [], part(facts.measured, "format")
    for name, label in (OWN_GAINS if told.get("strict") == OWN else GAINS).items():
        found = part(told, name)
        pair = part(found, "paired")
        if not pair:
            continue
        interval = f"{points(pair.get('ci_low'))} to {points(pair.get('ci_high'))}"
        against, lacking = str(found.get("against") or "–"), found.get("missing")
        claim = str(found.get("claim") or "")
        if isinstance(lacking, list | tuple) and lacking:  # the claim names what was measured, by its keys
            claim = f"{NOT_TESTED}: without {', '.join(WORDS.get(str(each), str(each)) for each in lacking)}"
        named_against = {"strict": "base, a complete box", **WORDS}.get(against, against)
        out.append((label, points(pair.get("estimate")), interval, named_against, claim))
    return out


def reflection(facts: Facts) -> list[tuple[str, str, str, str, str]]:
    """(checkpoint, share of responses, interval, per 1,000 tokens, n) of self-reflection in held-out responses."""
    found = part(facts.measured, "reflection").get("checkpoints")
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list | tuple) else []
    return [
        (
            str(row.get("checkpoint") or f"step {number(row.get('step'))}"),
            percent(row.get("share"), 2),
            f"{percent(row.get('ci_low'), 2)} to {percent(row.get('ci_high'), 2)}",
            number(row.get("per_1000_tokens")),
            number(row.get("n")),
        )
        for row in rows
    ]
