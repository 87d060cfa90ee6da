"""What every curriculum is made from: a pool, an even share of the groups, keyed random numbers, and the registry.

A curriculum here is a function of (seed, step, history): what it learned is read from the history again after a
resume, in the same order, so it comes out to the bit. Its saved state is its name alone, which a resumed run compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oneshot.errors import UsageError
from oneshot.history import History, Visit
from oneshot.registry import Registry
from oneshot.types import Problem

if TYPE_CHECKING:
    from oneshot.train.checkpoint import Curriculum

DEFAULT = "in-turn"
EPOCH, DRAW = 0, 1
"""What a stream of random numbers is for: the order of an epoch, or the draws of a step."""
_OURS = 1 << 31
"""Beyond any sample's number, so that no stream is one that a response is drawn from."""

Floats = npt.NDArray[np.float64]
Embed = Callable[[Sequence[Problem]], npt.NDArray[np.float32]]
"""Problems -> one vector each, [P, H], under the policy as it is at the start of the run."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What a curriculum chooses from."""

    problems: tuple[Problem, ...]
    groups: int
    """Groups of a step, in all."""
    seed: int = 0
    """Run seed."""
    embedding_PH: npt.NDArray[np.float32] | None = None
    """For curricula that ask for it."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a name and its options stand for before there is a pool."""

    name: str
    begin: Callable[[Pool], Curriculum]
    fewest: int = 1
    """The smallest pool in which there is something to choose."""
    pick: int | None = None
    """The option of that name: examples a step, 0 for as many as there are groups; None where there is no such option.
    A pool must hold more."""
    embeds: bool = False
    """Whether it asks for prompt embeddings."""
    before: Callable[[int, int], int] = lambda problems, groups: 0
    """(examples, groups a step) -> steps that are spent on looking before anything is chosen."""
    weights: tuple[float, float] = (1.0, 1.0)
    """Factors of two advantages: of a success on the hard example of a pair, and of a failure on the easy one."""

    def check(self, problems: int, groups: int, steps: int | None = None) -> None:
        """`UsageError` E105: the pool is too small to choose from, `pick` above the groups, the run too short."""
        if self.pick is not None and self.pick > groups:
            raise UsageError(
                f"curriculum {self.name!r} would pick {self.pick} examples a step (option pick) for {groups} groups, "
                "so some would have none.",
                code="E105",
                tries=(f"--rollout.groups {self.pick}", f"--data.curriculum-options.pick {groups}"),
            )
        least = self.fewest if self.pick is None else (self.pick or groups) + 1
        if problems < least:
            tries = ["--curriculum in-turn   (every example in turn)"]
            if self.pick is not None and problems > 1:
                tries.append(f"--data.curriculum-options.pick {min(groups, problems // 2)}")
            raise UsageError(
                f"curriculum {self.name!r} needs a pool of at least {least} examples to have a choice at {groups} "
                f"groups a step; this one has {problems}.",
                code="E105",
                tries=tuple(tries),
            )
        first = self.before(problems, groups)
        if first and steps is not None and steps <= first:
            raise UsageError(
                f"curriculum {self.name!r} looks for {first} steps before it chooses ({problems} examples, {groups} "
                f"groups a step), and this run has {steps}: nothing would be trained on by choice.",
                code="E105",
                tries=(f"--steps {2 * first}", "--curriculum in-turn   (every example in turn)"),
            )

    def start(self, problems: Sequence[Problem], *, groups: int, seed: int, embed: Embed) -> Curriculum:
        """The curriculum of one run. `embed` is called once, and only where it is needed: before any training."""
        self.check(len(problems), groups)
        embedding_PH = embed(problems) if self.embeds else None
        return self.begin(Pool(problems=tuple(problems), groups=groups, seed=seed, embedding_PH=embedding_PH))


CURRICULA: Registry[Design] = Registry("curriculum")


class Found(NamedTuple):
    """What a curriculum settled at the beginning of a step, for the run's events and for a person."""

    kind: str
    said: str
    details: dict[str, Any]
    """JSON-able."""


class FromHistory:
    """A curriculum that learns from the history alone: what is common to all of them but the default."""

    name = ""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.place = {problem.id: i for i, problem in enumerate(pool.problems)}
        self.seen = 0
        """Steps whose visits were read."""

    def news(self, step: int, history: History) -> Iterator[Visit]:
        """The visits since this was last asked, up to `step`, by step. A resumed run reads all of them again."""
        first, self.seen = self.seen, step
        return (visit for visit in history.visits(first, step) if visit.problem_id in self.place)

    def shared(self, places: Sequence[int], step: int) -> list[Problem]:
        """The step's groups, shared evenly by the problems at these places."""
        return share([self.pool.problems[i] for i in places], self.pool.groups, step)

    def found(self, step: int) -> Found | None:
        """What `next` settled at this step and at no other, so that a resumed run tells it once."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Its name; everything else follows from seed, step and history."""
        return {"curriculum": self.name}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load; `UsageError` E107 when the state is another curriculum's."""
        same(self.name, state)


def same(name: str, state: dict[str, Any]) -> None:
    """Refuse to go on from the state of another curriculum (E107)."""
    if (was := state.get("curriculum", DEFAULT)) != name:
        raise UsageError(
            f"the run was trained with the curriculum {was!r} and cannot go on with {name!r}.",
            code="E107",
            tries=(f"--curriculum {was}", "start a new run"),
            kept="Nothing was changed.",
        )


def found(curriculum: Curriculum, step: int) -> Found | None:
    """What a curriculum settled when the problems of `step` were asked for; None for most steps, and most curricula."""
    return curriculum.found(step) if isinstance(curriculum, FromHistory) else None


def summed(visits: Iterable[Visit]) -> dict[str, Visit]:
    """By problem: its visits as one, with samples, successes and answers added up and the last one's step."""
    total: dict[str, Visit] = {}
    for visit in visits:
        if (old := total.get(visit.problem_id)) is not None:
            answers = Counter(dict(old.answers)) + Counter(dict(visit.answers))
            visit = visit._replace(
                samples=old.samples + visit.samples,
                successes=old.successes + visit.successes,
                answers=tuple(answers.most_common()),
            )
        total[visit.problem_id] = visit
    return total


def share(problems: Sequence[Problem], groups: int, step: int) -> list[Problem]:
    """One problem a group, each as often as any other; over the steps the remainder goes to each in turn."""
    first = step * groups
    return [problems[(first + i) % len(problems)] for i in range(groups)]


def random(seed: int, number: int, purpose: int) -> np.random.Generator:
    """The stream of (run seed, step or epoch, purpose): it depends on nothing that happened before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number, _OURS + purpose])))


def shuffled(seed: int, epoch: int, count: int) -> list[int]:
    """The order of an epoch over `count` problems."""
    order: list[int] = random(seed, epoch, EPOCH).permutation(count).tolist()
    return order


def nearest(values_P: Floats, target: float, count: int) -> list[int]:
    """The places of the `count` values nearest to the target, nearest first; ties in file order."""
    order: list[int] = np.argsort((values_P - target) ** 2, kind="stable")[:count].tolist()
    return order


def unit(embedding_PH: npt.NDArray[np.float32]) -> Floats:
    """Vectors less the pool's mean, of length 1; one that equals the mean is 0.

    The mean goes, because a language model's prompt embeddings have a large common part, which says nothing.
    """
    wide_PH: Floats = np.asarray(embedding_PH, dtype=np.float64)
    wide_PH = wide_PH - wide_PH.mean(axis=0)
    length_P1: Floats = np.linalg.norm(wide_PH, axis=1, keepdims=True)
    small = length_P1 <= 1e-12 * max(1.0, float(length_P1.max(initial=0.0)))
    found: Floats = np.divide(wide_PH, length_P1, out=np.zeros_like(wide_PH), where=~small)
    return found


def within(name: str, option: str, value: float, low: float, high: float = np.inf) -> None:
    """`UsageError` E103 for an option out of its range."""
    if not low <= value <= high or value == np.inf:
        rule = f"at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
        rule = "finite" if value == np.inf else rule
        raise UsageError(f"curriculum {name!r}, option {option!r}: {value:g} must be {rule}.", code="E103")
