"""The precision of an update's matrix products."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax

F = TypeVar("F", bound=Callable)

ALGORITHMS = {"bfloat16": "BF16_BF16_F32"}
"""What JAX calls products of numbers of this precision that are added up in float32."""


def with_products_in(precision: str, function: F) -> F:
    """The function with all its matrix products, those of its gradients too, in this precision; `float32` leaves it.

    Parameters, sums, normalisation, softmax and log-probabilities stay in float32.
    """
    if precision not in ALGORITHMS:
        return function

    @functools.wraps(function)
    def inner(*args, **kwargs):
        with jax.default_matmul_precision(ALGORITHMS[precision]):
            return function(*args, **kwargs)

    return inner
