"""What a search may try, written in Hydra's own grammar of sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from fetal_lm.errors import InputError
from fetal_lm.report.search import Value
from fetal_lm.search.library import load_optuna

Distribution = Any
"""`optuna.distributions.BaseDistribution`; Optuna is imported only where it is used."""

_DECIDES: Final = ("seed", "monitor", "image_size", "split", "data", "search")
"""Options, with all below them, that say what is validated and in which unit: between trials that differ in them the
lowest figure is luck."""

_FREE: Final = ("data.batch_size",)

LOG: Final = "log"
"""The one tag: `tag(log, interval(...))` is searched on a logarithmic axis."""

_EXAMPLE: Final = "'optim.optimizer.lr=tag(log,interval(1e-4,1e-2))'"


@dataclass(frozen=True)
class Space:
    """What is searched and what is the same in every trial.

    Attributes:
        distributions: Optuna's, by option.
        fixed: the other overrides of the command, in their order.
    """

    distributions: Mapping[str, Distribution]
    fixed: tuple[str, ...]

    def words(self) -> dict[str, str]:
        """Each distribution as it reads, by which a stored study's is compared."""
        return {name: _words(distribution) for name, distribution in self.distributions.items()}

    def first(self) -> dict[str, Value]:
        """Some value of every option, to try whether a job with them can be composed."""
        return {name: _low(distribution) for name, distribution in self.distributions.items()}

    def known(self, present: Mapping[str, Any]) -> dict[str, Value] | None:
        """The values that the options have without a search; None if they are not all in the space.

        Args:
            present: what the configuration has, by option.
        """
        found: dict[str, Value] = {}
        for name, distribution in self.distributions.items():
            value: Any = present.get(name)
            if hasattr(distribution, "choices"):
                value = str(value)
            if not _contains(distribution, value):
                return None
            found[name] = value
        return found


def parse_space(overrides: Sequence[str], *, monitor: str = "") -> Space:
    """Sorts overrides into what is searched and what is fixed.

    `interval(a, b)` is any number between, `int(interval(a, b))` any whole one, `tag(log, interval(a, b))` the same on
    a logarithmic axis, `range(start, stop, step)` its numbers without `stop`, and `choice(a, b)` or `a,b` one of these
    without an order.

    Args:
        overrides: as on the command line; a later one of the same key replaces an earlier one.
        monitor: the metric that is minimised. Where it is a loss, nothing may be searched that changes the loss's unit.

    Raises:
        InputError: an override is none, an interval is empty, nothing is searched, or something that decides what the
            validation figure is of.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise InputError(str(error)) from error
    last = {override.get_key_element(): override for override in parsed}
    searched = {key: override for key, override in last.items() if override.is_sweep_override()}
    for key in searched:
        if _decides(key):
            raise InputError(
                f"{searched[key].input_line}: {key} says what is validated, so that the lowest figure would be luck; "
                "give it one value, or sweep over it without a search (-m instead of experiment=search)"
            )
        if monitor.endswith("loss") and _makes_the_loss(key):
            raise InputError(
                f"{searched[key].input_line}: {key} says what the loss is of, so that the lowest {monitor} would be "
                "that of the smallest unit; give it one value, or search with monitor=val/mre_px"
            )
    if not searched:
        raise InputError(
            "there is nothing to search: every option has one value. Give at least one a range, for example "
            f"{_EXAMPLE}, or leave out the option that you fixed"
        )
    fixed = tuple(
        f"{key}={override.get_value_element_as_str()}" if not override.is_delete() else str(override.input_line)
        for key, override in last.items()
        if key not in searched
    )
    return Space({key: _distribution(key, override) for key, override in searched.items()}, fixed)


def _decides(key: str) -> bool:
    return _root(key) in _DECIDES and key.lstrip("+~") not in _FREE


def _makes_the_loss(key: str) -> bool:
    weighs = "." not in key or key.endswith("_weight")
    return _root(key) in ("loss", "codec") or (_root(key) == "model" and weighs)


def _root(key: str) -> str:
    # A group's option may name its package: data@data.
    return key.lstrip("+~").partition(".")[0].partition("/")[0].partition("@")[0]


def _distribution(key: str, override: Override) -> Distribution:
    distributions = load_optuna().distributions
    sweep: Any = override.value()
    try:
        match sweep:
            case ChoiceSweep():
                return distributions.CategoricalDistribution(_different(override.sweep_string_iterator()))
            case IntervalSweep():
                is_whole = type(sweep.start) is type(sweep.end) is int
                kind = distributions.IntDistribution if is_whole else distributions.FloatDistribution
                return kind(sweep.start, sweep.end, log=LOG in sweep.tags)
            case RangeSweep():
                return _steps(sweep, distributions)
    except (ValueError, IndexError) as error:
        raise InputError(f"{override.input_line}: no range to search ({error}); the smaller number first") from error
    raise InputError(f"{key}: expected interval(...), range(...) or choice(...), got {override.input_line!r}")


def _steps(sweep: RangeSweep, distributions: Any) -> Distribution:
    numbers = list(sweep.range())
    if all(isinstance(number, int) for number in numbers):
        return distributions.IntDistribution(min(numbers), max(numbers), step=abs(sweep.step))
    # As they are written: Optuna warns where a sum of binary fractions is not a multiple of the step.
    start, step = Decimal(str(sweep.start)), Decimal(str(sweep.step))
    ends = sorted((start, start + step * (len(numbers) - 1)))
    return distributions.FloatDistribution(*map(float, ends), step=float(abs(step)))


def _different(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _contains(distribution: Distribution, value: Any) -> bool:
    if hasattr(distribution, "choices"):
        return value in distribution.choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    steps = (value - distribution.low) / (distribution.step or 1)
    return distribution.low <= value <= distribution.high and (not distribution.step or steps == round(steps))


def _words(distribution: Distribution) -> str:
    """For example `0.0005 to 0.02, logarithmic`."""
    if hasattr(distribution, "choices"):
        return "one of " + ", ".join(distribution.choices)
    is_whole = isinstance(distribution.low, int)
    kind = ", whole numbers" if is_whole and distribution.step == 1 else ""
    step = f" in steps of {distribution.step:g}" if distribution.step and not kind else ""
    axis = ", logarithmic" if distribution.log else ""
    return f"{distribution.low:g} to {distribution.high:g}{step}{kind}{axis}"


def _low(distribution: Distribution) -> Value:
    low: Value = distribution.choices[0] if hasattr(distribution, "choices") else distribution.low
    return low
