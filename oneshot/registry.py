"""The only place where a name becomes a function. A plug-in's keyword parameters are its configuration."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from oneshot.errors import UsageError

T = TypeVar("T")


def nearest(name: str, known: list[str]) -> str:
    """`" Did you mean 'x'?"` for the closest known name, else an empty string."""
    flat = {k.replace("_", "").replace("-", "").lower(): k for k in known}
    typed = name.replace("_", "").replace("-", "").lower()
    # Swapped letters are the likeliest slip: gpro is grpo, not gspo.
    swapped = [k for k in flat if sorted(k) == sorted(typed)]
    close = swapped or difflib.get_close_matches(typed, list(flat), n=1, cutoff=0.6)
    return f" Did you mean {flat[close[0]]!r}?" if close else ""


class Registry(Generic[T]):
    """Names of one kind. `register` is a decorator on a factory whose parameters are all keyword-only."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Register a factory; a name can be taken once."""

        def add(factory: Callable[..., T]) -> Callable[..., T]:
            assert name not in self._factories, f"{self.kind} {name!r} is registered twice"
            self._factories[name] = factory
            return factory

        return add

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self._factories)

    def factory(self, name: str) -> Callable[..., T]:
        """The factory of a name; `UsageError` E102 with the nearest name otherwise."""
        if name not in self._factories:
            hint = nearest(name, self.names())
            known = ", ".join(self.names())
            raise UsageError(f"unknown {self.kind} {name!r}.{hint} Known: {known}.", code="E102")
        return self._factories[name]

    def build(self, name: str, options: Mapping[str, Any] | None = None) -> T:
        """Build `name` with `options`, checked against the factory's keyword parameters and their types.

        Raises:
            UsageError: E102 unknown name, E101 unknown option, E103 wrong type.
        """
        factory = self.factory(name)
        parameters = inspect.signature(factory).parameters
        hints = get_type_hints(factory)
        values: dict[str, Any] = {}
        for key, value in (options or {}).items():
            if key not in parameters:
                hint = nearest(key, list(parameters))
                takes = ", ".join(parameters) or "no options"
                raise UsageError(f"{self.kind} {name!r} has no option {key!r}.{hint} It takes: {takes}.", code="E101")
            values[key] = _typed(value, hints.get(key, Any), f"{self.kind} {name!r}, option {key!r}")
        return factory(**values)


def _typed(value: Any, hint: Any, where: str) -> Any:
    """`value` as the plain type `hint` asks for (int may stand for float, text for either); E103 otherwise."""
    allowed = get_args(hint) or (hint,)
    if hint is Any or any(isinstance(t, type) and type(value) is t for t in allowed):
        return value
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        for kind in (int, float):
            if kind in allowed:
                try:
                    return kind(value)
                except ValueError:
                    continue
    wanted = " or ".join(getattr(t, "__name__", str(t)) for t in allowed)
    raise UsageError(f"{where}: {value!r} is not a {wanted}.", code="E103")
