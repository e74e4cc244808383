"""Checks of what a caller gives. Shapes and names always; values only where they are known (not while tracing)."""

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from softrl import errors

MODES = ("optimistic", "variational")


def known(x: Any) -> np.ndarray | None:
    """The values as numpy, or None while they are traced."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def fail(name: str, x: Any, expected: str) -> NoReturn:
    """Raise a ValueError that says what was given (with its shape) and what was expected."""
    given = f"an array of shape {np.shape(x)}" if np.ndim(x) else repr(x)
    raise ValueError(f"{name}: got {given}, expected {expected}")


def shape(name: str, x: Any, expected: tuple[int, ...] | None, axes: str) -> None:
    """`x` has exactly the shape `expected` (None: any); `axes` is its form in words, such as "[S, A]"."""
    if expected is not None and np.shape(x) != expected:
        fail(name, x, f"{axes} = {expected}")


def rank(name: str, x: Any, count: int, expected: str) -> None:
    """`x` has so many axes, none of them empty."""
    if np.ndim(x) != count or 0 in np.shape(x):
        fail(name, x, expected)


def sizes(transition: Any) -> tuple[int, int]:
    """S and A of a transition `[S, A, S]`."""
    given = np.shape(transition)
    if len(given) != 3 or given[0] != given[2] or 0 in given:
        fail("transition", transition, "[S, A, S] with at least one state and one action")
    return given[:2]


def real(name: str, x: Any) -> None:
    """`x` holds real numbers, known or not."""
    dtype = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    if not any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        fail(name, x, "real numbers")


def finite(name: str, x: Any, expected: tuple[int, ...] | None = None, axes: str = "") -> None:
    """Every known entry of `x` is a finite number; `expected` and `axes` as in `shape`, here and below."""
    shape(name, x, expected, axes)
    real(name, x)
    values = known(x)
    if values is not None and not np.isfinite(values).all():
        fail(name, x, f"finite numbers; it has {int((~np.isfinite(values)).sum())} that are not")


def distribution(name: str, x: Any, expected: tuple[int, ...] | None = None, axes: str = "") -> None:
    """Known entries are non-negative and sum to 1 over the last axis."""
    shape(name, x, expected, axes)
    real(name, x)
    values = known(x)
    if values is None:
        return
    values = values.astype(np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        fail(name, x, "probabilities: finite and not negative")
    off = float(np.abs(values.sum(-1) - 1.0).max())
    if off > 1e-5:  # a float32 row of some thousand entries is off by less than 1e-6
        fail(name, x, f"rows (last axis) that sum to 1; one is off by {off:.3g}")


def log_prior(name: str, x: Any, expected: tuple[int, ...], axes: str) -> None:
    """Known entries are numbers or −inf, and every row leaves at least one action."""
    values = _log_probabilities(name, x, expected, axes)
    if values is not None and not (values > -np.inf).any(-1).all():
        fail(name, x, "at least one action a state whose log prior is not -inf")


def log_policy(name: str, x: Any, expected: tuple[int, ...] | None = None, axes: str = "") -> None:
    """Known entries are log probabilities that sum, as probabilities, to 1 over the last axis."""
    values = _log_probabilities(name, x, expected, axes)
    if values is None:
        return
    off = float(np.abs(np.exp(values.astype(np.float64)).sum(-1) - 1.0).max())
    if off > 1e-3:  # float32 log-softmax of large logits
        fail(name, x, f"log probabilities whose exponentials sum to 1 over the last axis; one is off by {off:.3g}")


def _log_probabilities(name: str, x: Any, expected: tuple[int, ...] | None, axes: str) -> np.ndarray | None:
    shape(name, x, expected, axes)
    values = known(x)
    if values is not None and (np.isnan(values).any() or (values == np.inf).any()):
        fail(name, x, "log probabilities: numbers or -inf")
    return values


def positive(name: str, x: Any, *, infinite: bool = False) -> None:
    """`x` is a scalar above zero."""
    scalar(name, x)
    value = known(x)
    if value is not None and not (value > 0 and (infinite or np.isfinite(value))):
        fail(name, x, "a number above 0" + (" (infinity allowed)" if infinite else ""))


def between(name: str, x: Any, low: float, high: float, *, closed: bool) -> None:
    """`x` is a scalar in [low, high] (closed) or [low, high)."""
    scalar(name, x)
    value = known(x)
    if value is not None and not (low <= value <= high if closed else low <= value < high):
        fail(name, x, f"a number in [{low:g}, {high:g}{']' if closed else ')'}")


def positives(dtype: jnp.dtype, **scalars: Any) -> tuple[jax.Array, ...]:
    """Scalars above zero, by name, in the dtype of the model that they belong to."""
    for name, x in scalars.items():
        positive(name, x)
    return tuple(jnp.asarray(x, dtype) for x in scalars.values())


def scalar(name: str, x: Any) -> None:
    """`x` has no axes."""
    if np.ndim(x):
        fail(name, x, "a scalar; for several at once use jax.vmap")
    real(name, x)


def output(name: str, function: Callable, arguments: tuple, expected: tuple[int, ...], axes: str) -> None:
    """What a caller's function returns has the shape `expected`; nothing is computed."""
    given = jax.eval_shape(function, *arguments)
    if not hasattr(given, "shape") or given.shape != expected:
        described = f"one that returns shape {given.shape}" if hasattr(given, "shape") else "one that returns a pytree"
        raise ValueError(f"{name}: got {described}, expected {axes} = {expected}")


def count(name: str, x: Any) -> int:
    """`x` as a Python int of at least 1; it shapes the program, so it cannot be traced."""
    try:
        value = operator.index(x)
    except (TypeError, jax.errors.TracerIntegerConversionError):
        fail(name, x, "a Python int (it shapes the program: mark it static under jit)")
    return value if value >= 1 else fail(name, x, "at least 1")


def choice(name: str, x: Any, allowed: tuple[str, ...]) -> None:
    """`x` is one of the allowed names."""
    if x not in allowed:
        raise ValueError(f"{name}: got {x!r}, expected one of {allowed}{errors.suggestion(str(x), allowed)}")


def exists(name: str, solution: Iterable, expected: str) -> None:
    """Known arrays of a solution are finite."""
    values = [known(x) for x in solution]
    if all(x is not None for x in values) and not all(np.isfinite(x).all() for x in values):
        raise ValueError(f"{name}: got a problem without a finite solution, expected {expected}")


@np.errstate(divide="ignore")
def spectral_radius_below_one(name: str, weights: np.ndarray, log_scale: np.ndarray, expected: str) -> None:
    """The powers of weights · exp(log_scale) `[N, N]` die out, so that sums over paths are finite."""
    log_matrix = np.log(weights) + log_scale
    top = float(log_matrix.max())
    if top == -np.inf:
        return
    matrix = np.exp(log_matrix - top)
    # A matrix of row sums below 1 needs no eigenvalues.
    if np.log(matrix.sum(-1).max()) + top < 0:
        return
    radius = np.log(np.abs(np.linalg.eigvals(matrix)).max()) + top
    if radius >= 0:
        raise ValueError(
            f"{name}: got a sum over paths that grows by a factor {math.exp(min(radius, 700)):.6g} a step, "
            f"so that no finite value exists; expected {expected}"
        )


def floating(*arrays: Any) -> tuple:
    """The arrays in one floating dtype, the widest among them; None stays None."""
    given = [jnp.asarray(x) for x in arrays if x is not None]
    dtype = jnp.result_type(*given, jnp.float16)
    dtype = dtype if dtype in (jnp.float32, jnp.float64) else jnp.float32
    return tuple(None if x is None else jnp.asarray(x, dtype) for x in arrays)


def elements(name: str, total: float, limit: float, what: str) -> None:
    """Refuse a problem whose exact solution would not fit."""
    if total > limit:
        raise ValueError(f"{name}: exact needs {math.ceil(total):,} {what}, more than {math.ceil(limit):,}")


def symmetric(
    name: str, x: Any, expected: tuple[int, ...], axes: str, *, smallest_eigenvalue: float | None = None
) -> None:
    """`x` is finite, symmetric and, where a bound is given, its eigenvalues exceed that part of the greatest entry."""
    finite(name, x, expected, axes)
    values = known(x)
    if values is None:
        return
    values = values.astype(np.float64)
    scale = max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    if np.abs(values - values.T).max() > 1e-5 * scale:
        fail(name, x, "a symmetric matrix")
    if smallest_eigenvalue is not None and np.linalg.eigvalsh(values).min() <= smallest_eigenvalue * scale:
        kind = "definite" if smallest_eigenvalue == 0 else "semidefinite"
        fail(name, x, f"a positive {kind} matrix; its eigenvalues are {np.linalg.eigvalsh(values)}")
