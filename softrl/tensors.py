"""Named arrays as safetensors bytes: how softrl puts arrays into files and onto wires. Nothing in them can run code.

Imports NumPy and safetensors only, so that an actor can use it without JAX.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from softrl.errors import TensorError

HEADER_BYTES = 1 << 16
"""Longest header that `decode` reads; that of a policy has about a hundred bytes a tensor."""

DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool")
"""What softrl puts onto wires; a policy file may hold float16, too."""

_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def encode(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """The arrays, and a few strings about them, in the safetensors format."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors.numpy.save(contiguous, metadata=dict(metadata) if metadata else None)


def decode(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the strings that `encode` wrote.

    Raises:
      TensorError: not safetensors, damaged, or of another dtype than `DTYPES` and float16.
    """
    strings = metadata(data)
    try:
        arrays = safetensors.numpy.load(data)
    except Exception as error:  # its error type is not exported under a stable name
        raise TensorError(f"not a whole safetensors message: {error}") from None
    return arrays, strings


def metadata(data: bytes) -> dict[str, str]:
    """The strings of a message. Allocates no array.

    Raises: TensorError: the header is too long, is not JSON, or declares other bytes than there are.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(HEADER_BYTES, len(data) - 8):
        raise TensorError(
            f"expected safetensors with a header of at most {HEADER_BYTES:,} bytes, got {len(data):,} bytes"
        )
    try:
        entries = json.loads(data[8 : 8 + length])
        strings = entries.pop("__metadata__", {})
        sizes = [_ITEM_BYTES[entry["dtype"]] * math.prod(entry["shape"]) for entry in entries.values()]
        negative = any(size < 0 for entry in entries.values() for size in entry["shape"])
        text = all(isinstance(word, str) for pair in strings.items() for word in pair)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TensorError("the safetensors header is damaged, or declares a dtype that softrl does not use") from None
    if negative or not text or sum(sizes) != len(data) - 8 - length:
        raise TensorError(
            f"the safetensors header declares {sum(sizes)} bytes, the message holds {len(data) - 8 - length}"
        )
    return strings


def named(tree: Mapping[str, Any], prefix: str = "", *, separator: str = "/") -> dict[str, Any]:
    """The leaves of nested dictionaries by their paths, as `obs/arm`; `softrl.numpy_policy.nested` undoes it."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        inner = isinstance(value, Mapping)
        found |= named(value, f"{path}{separator}", separator=separator) if inner else {path: value}
    return found
