"""Whether an exported policy acts as the live one does, on ordinary and on extreme observations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from softrl import numpy_policy
from softrl.errors import ExportError
from softrl.numpy_network import Categorical, Scalar
from softrl.numpy_policy import NumpyPolicy

ROWS = 1024
LIMIT = 1e-5
"""Largest difference of an action, in units of half its range: twenty roundings of float32 after a tanh. Of discrete
actions: of their logits, relative to the largest; two that are equal but for rounding are a tie. Of a network of one
number: of that, relative to the largest and to 1. More is allowed only as `ROUNDINGS` says."""

ROUNDINGS = 4.0
"""How many times its `rounding` two implementations of a policy may be apart: each adds in an order of its own."""


def observations(policy: NumpyPolicy, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Random observations by name, `[rows, ...]`: a quarter each within 1, 3, 30 and 10⁴ standard deviations.

    Without a normaliser, which would clip them, the spreads are 1, 2, 5 and 10: a network's own rounding grows with
    its inputs, and no two libraries add in the same order.
    """
    rng, found = np.random.default_rng(0), {}
    spreads = np.float32([1.0, 2.0, 5.0, 10.0] if policy.spec.normalizer is None else [1.0, 3.0, 30.0, 1e4])
    for entry, moments in zip(policy.spec.inputs, policy.moments, strict=True):
        noise = rng.standard_normal((rows, *entry.shape), np.float32)
        spread = np.resize(spreads, rows).reshape(rows, *[1] * len(entry.shape)) * noise
        found[entry.name] = spread if moments is None else moments[0][None] + moments[1][None] * spread
    return found


def nested(policy: NumpyPolicy, named: dict[str, np.ndarray]) -> Any:
    """Observations by name as the policy wants them: one array, or (nested) dictionaries."""
    return numpy_policy.nested({entry.path: named[entry.name] for entry in policy.spec.inputs})


def difference(policy: NumpyPolicy, live: Callable, exported: Callable, what: str) -> float:
    """The largest difference between two policies' actions, as `LIMIT` says.

    Args: `live`, `exported`: from observations by name to actions `[B, A]`, or discrete ones `[B]`.
    Raises: ExportError where it is more than `LIMIT` and than the policy's own `rounding` allows, or no number.
    """
    named = observations(policy)
    # In full precision: on an accelerator the live policy may round to TF32 or bfloat16.
    with jax.default_matmul_precision("highest"):
        expected = np.asarray(live(named))
    largest, allowed = _apart(policy, named, exported(named), expected), max(LIMIT, ROUNDINGS * rounding(policy, named))
    if not largest <= allowed:
        raise ExportError(
            f"{what} acts otherwise than the live policy: by {largest:.3g}, at most {allowed:.3g} is allowed"
        )
    return largest


def rounding(policy: NumpyPolicy, named: dict[str, np.ndarray]) -> float:
    """How far an action moves, as `LIMIT` says, if every weight is off by its last bit, as products in float32 are.

    Training makes weights larger, and with them what two orders of adding up differ by.
    """
    rng, last = np.random.default_rng(0), np.finfo(np.float32).eps
    off = {name: a * (1.0 + last * rng.choice((-1.0, 1.0), a.shape)) for name, a in policy.arrays.items() if a.ndim > 1}
    moved = replace(policy, arrays=policy.arrays | {name: a.astype(np.float32) for name, a in off.items()})
    return _apart(policy, named, moved(nested(policy, named)), policy(nested(policy, named)))


def _apart(policy: NumpyPolicy, named: dict[str, np.ndarray], actions: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as `LIMIT` says."""
    if isinstance(policy.spec.head, Categorical):
        return _lost(policy, named, actions, expected)
    if isinstance(policy.spec.head, Scalar):
        return float(np.max(np.abs(actions - expected)) / max(1.0, float(np.abs(expected).max())))
    half_range = 0.5 * (policy.arrays["action/high"] - policy.arrays["action/low"])
    return float(np.max(np.abs(actions - expected) / half_range))


def _lost(policy: NumpyPolicy, named: dict[str, np.ndarray], actions: np.ndarray, expected: np.ndarray) -> float:
    """By how much the logits of two policies' actions differ where the actions do, relative to logits above 1."""
    logits = policy.outputs([named[entry.name] for entry in policy.spec.inputs])
    one, other = (np.take_along_axis(logits, a[:, None].astype(np.int64), axis=1) for a in (actions, expected))
    return float(np.max(np.abs(one - other) / np.maximum(1.0, np.abs(logits).max(axis=1, keepdims=True))))
