"""How a sweep searches for its best member: try all, or one of three searches."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from softrl.config import Seed, Within, change
from softrl.errors import ConfigError, require_known, suggestion


@dataclass(frozen=True)
class Halving:
    """Successive halving: all members train a little; of each rung the best 1/`eta` go on `eta` times as far."""

    eta: Annotated[int, Within(2)] = 3
    """This many members compete for one place in the next rung."""
    rungs: Annotated[int, Within(2)] = 3
    """There are this many rungs; the last ends at the config's `steps`, each one before at 1/`eta` of the next."""


@dataclass(frozen=True)
class Pbt:
    """Population-based training: the worst copy the best, states included, and go on with perturbed hyperparameters."""

    every: Annotated[int, Within(1)] = 1
    """Select after every so many evaluations."""
    share: Annotated[float, Within(0.0, 0.5, above=True)] = 0.25
    """This share of the population, the worst, is replaced by copies of the best, the same share."""
    factor: Annotated[float, Within(1.0, above=True)] = 1.25
    """A copied hyperparameter is multiplied or divided by this, and kept within its axis."""
    seed: Seed = 0
    """Selection and perturbation are drawn from this seed."""


@dataclass(frozen=True)
class Optuna:
    """Bayesian optimisation: Optuna proposes batches of members, one after the other."""

    trials: Annotated[int, Within(1)] = 32
    """Optuna proposes this many settings in all, each trained with every seed."""
    batch: Annotated[int, Within(1)] = 8
    """This many proposals are made, and trained, together."""
    seed: Seed = 0
    """Optuna's sampler has this seed."""


METHODS = {"halving": Halving, "pbt": Pbt, "optuna": Optuna}
Search = Halving | Pbt | Optuna


def search(form: Any) -> Search | None:
    """The search that `[search]` of a spec describes: `method` and the fields of its class; None for no search.

    Raises: ConfigError for an unknown method or field, or a value out of its range.
    """
    if form is None:
        return None
    if not isinstance(form, dict) or "method" not in form:
        raise ConfigError(f"search must name its method, one of {', '.join(METHODS)}; got {form!r}")
    method = form["method"]
    require_known("search method", method, METHODS)
    options = {name: value for name, value in form.items() if name != "method"}
    known = [field.name for field in fields(METHODS[method])]
    for name in options:
        if name not in known:
            raise ConfigError(f"search {method}: unknown setting {name!r}{suggestion(name, known)}")
    return change(METHODS[method](), **options)


def method(found: Search) -> str:
    """The name that a spec uses for a search."""
    return next(name for name, kind in METHODS.items() if isinstance(found, kind))
