"""What a probe refuses, and what it says of pools that cannot be chosen from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot.errors import DataError, OneshotError, UsageError
from oneshot.rewards.functions import build_verifier
from oneshot.stages.probing.record import CHOOSE
from oneshot.stages.probing.sampler import BATCH, STEPS
from oneshot.types import Sampling, Verdict
from tests.unit.stages.probes import Engine, pool, probe, prober, rates_of


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("model", {"protocol": {"model": "another"}}),
        ("suffix", {"protocol": {"model": "m", "suffix": "Think."}}),
        ("temperature", {"sampling": Sampling(seed=3, temperature=0.7)}),
        ("max_new_tokens", {"sampling": Sampling(seed=3, max_new_tokens=65)}),
        ("seed", {"sampling": Sampling(seed=4)}),
        ("grader", {"verify": build_verifier("number")}),
        ("pool", {"problems": pool(60, p5="8")}),
        ("pool", {"problems": pool(59)}),
        ("prompts", {"render": lambda p: (int(p.id[1:]), 9)}),
    ],
)
def test_another_probe_is_refused_by_name(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    record = tmp_path / "r.jsonl"
    probe(Engine(rates_of(60)), record)
    before, engine = record.read_bytes(), Engine(rates_of(60))
    own = {key: changes.pop(key) for key in ("sampling", "verify", "render") if key in changes}
    with pytest.raises(UsageError, match=f"another probe: {name} was ") as caught:
        probe(engine, record, prober=prober(engine, **own), **changes)
    assert caught.value.code == "E107"
    assert caught.value.message.count(" was ") == 1
    assert caught.value.tries
    assert (engine.calls, record.read_bytes()) == (0, before)


@pytest.mark.parametrize("text", ['{"index": 0, "score": 1}\n', '{"schema": "oneshot.probe/1"}\n', "not json\n{}\n"])
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    record = tmp_path / "r.jsonl"
    record.write_text(text)
    with pytest.raises(UsageError) as caught:
        probe(Engine(rates_of(60)), record)
    assert caught.value.code == "E106"
    assert record.read_text() == text


def test_a_damaged_batch_is_named_by_its_line(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    probe(Engine(rates_of(60)), record)
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join([lines[0], '{"phase": "choose", "rows": [[1, 2]]}\n', *lines[1:]]))
    with pytest.raises(UsageError, match="line 2 is not a batch of samples") as caught:
        probe(Engine(rates_of(60)), record)
    assert caught.value.code == "E106"


def test_a_pool_that_is_never_solved_asks_and_then_goes_on_without_sampling_again(tmp_path: Path) -> None:
    record, engine = tmp_path / "r.jsonl", Engine([0.0] * 60)
    with pytest.raises(DataError, match=r"0 of 9.. samples of the pool were right") as caught:
        probe(engine, record)
    assert caught.value.code == "E303"
    assert "--allow-unsolved" in caught.value.tries[0]
    assert str(record) in caught.value.kept
    drawn, said = len(engine.asked), list[str]()
    found = probe(engine, record, allow_unsolved=True, note=said.append)
    assert len(engine.asked) == drawn + found.fresh
    assert found.reused == drawn
    assert len(found.warnings) == 1
    assert found.warnings[0] in said
    assert "0 of 9" in found.warnings[0]


def test_a_pool_that_is_always_solved_says_so(tmp_path: Path) -> None:
    said = list[str]()
    found = probe(Engine([1.0] * 60), tmp_path / "r.jsonl", note=said.append)
    assert "samples were right: every group would be all-correct" in found.warnings[0]
    assert found.warnings[0] in said
    assert found.ranked[0].rate == 1


def test_rows_no_response_can_match_are_not_sampled_and_come_last(tmp_path: Path) -> None:
    engine, problems = Engine(rates_of(20)), pool(20, p4="", p9=" ")
    found = probe(engine, tmp_path / "r.jsonl", problems=problems, top=20)
    assert [f.index for f in found.ranked[-2:]] == [4, 9]
    assert all((f.samples, f.fresh_samples) == (0, 0) for f in found.ranked[-2:])
    assert np.isnan(found.ranked[-1].rate)
    assert found.ranked[-1].interval == (0, 1)
    assert (found.ranked[-1].tie_first, found.ranked[-1].tie_last) == (19, 20)
    assert not {step - STEPS[CHOOSE] for step, _ in engine.asked} & {4, 9}
    assert "2 reference answers are empty and match nothing: p4, p9" in found.warnings[0]


def test_a_pool_without_references_is_refused_before_anything_is_sampled(tmp_path: Path) -> None:
    engine, record = Engine([0.5] * 2), tmp_path / "r.jsonl"
    with pytest.raises(DataError, match="none of the 2 reference answers") as caught:
        probe(engine, record, problems=pool(2, p0="", p1=""), top=1)
    assert (caught.value.code, engine.calls, record.exists()) == ("E302", 0, False)


@pytest.mark.parametrize("changes", [{"top": 61}, {"top": 0}, {"samples": 0}])
def test_numbers_that_make_no_probe(tmp_path: Path, changes: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        probe(Engine(rates_of(60)), tmp_path / "r.jsonl", **changes)
    assert caught.value.code == "E103"
    assert not (tmp_path / "r.jsonl").exists()


class Failing:
    """A user's function that fails from some call on."""

    name, fatal = "mine.py:reward", True

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, response: str, reference: str) -> Verdict:
        self.left -= 1
        status = "ok" if self.left >= 0 else "error"
        return Verdict(correct=response == reference, extracted=None, method="function", status=status, message="boom")


def test_a_function_that_fails_ends_the_probe_and_keeps_the_batches_before(tmp_path: Path) -> None:
    engine, record = Engine(rates_of(400)), tmp_path / "r.jsonl"
    with pytest.raises(DataError, match=r"the probe, problem 'p128', sample 1.*boom") as caught:
        probe(engine, record, 400, samples=4, prober=prober(engine, verify=Failing(BATCH + 1)))
    assert caught.value.code == "E305"
    mended = Engine(rates_of(400))
    found = probe(mended, record, 400, samples=4, prober=prober(mended, verify=Failing(100_000)))
    assert found.reused == BATCH
    assert found.ranked[0].answers == {}


def test_errors_are_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(OneshotError) as caught:
        probe(Engine(rates_of(60)), tmp_path / "r.jsonl", top=99)
    assert "try: --top 60 --probe 16" in caught.value.render()


def test_a_record_that_cannot_be_kept_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "r.jsonl", tmp_path / "folder"):
        with pytest.raises(UsageError, match="cannot be kept in") as caught:
            probe(Engine(rates_of(60)), place)
        assert caught.value.code == "E106"


def test_no_way_out_removes_anything(tmp_path: Path) -> None:
    """What lies at the record's place may be the user's own."""
    record = tmp_path / "r.jsonl"
    record.write_text('{"mine": 1}\n')
    with pytest.raises(UsageError, match="is not the record of a probe") as own:
        probe(Engine(rates_of(60)), record)
    record.unlink()
    probe(Engine(rates_of(60)), record)
    with pytest.raises(UsageError) as other:
        probe(Engine(rates_of(60)), record, protocol={"model": "another"})
    assert not any(line.startswith("rm") for line in (*own.value.tries, *other.value.tries))
    assert f"mv {record} {record}.old" in other.value.tries
