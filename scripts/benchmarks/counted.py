"""Floating point operations that a traced program asks for, whatever a compiler makes of it."""

import math
from typing import Any


def products(jaxpr: Any, times: float = 1.0) -> float:
    """Floating point operations of all matrix products of a traced program, 2·M·N·K each, loops counted in full.

    Inner and outer products of vectors (weighted means and their gradients) do not count; of a branch the dearest does.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        out = equation.outvars[0].aval.shape
        if equation.primitive.name == "dot_general" and len(out) > 1:
            (contracted, _), _ = equation.params["dimension_numbers"]
            lengths = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += times * 2.0 * math.prod(out) * math.prod(lengths) if lengths else 0.0
        inner = times * equation.params.get("length", 1)  # a scan's
        branches = [products(branch.jaxpr, times) for branch in equation.params.get("branches", ())]
        total += max(branches, default=0.0)
        total += sum(products(getattr(v, "jaxpr", v), inner) for v in equation.params.values() if _is_program(v))
    return total


def _is_program(value: Any) -> bool:
    return hasattr(getattr(value, "jaxpr", value), "eqns")
