"""What travels: transitions as named tensors, and errors as a status with details. Needs no JAX."""

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softrl import tensors
from softrl.errors import BatchError, ConfigError
from softrl.numpy_policy import nested

ERROR_KEY = "softrl-error-bin"  # gRPC wants -bin for metadata that is not ASCII
SEQUENCE_KEY = "softrl-sequence"
TOKEN_KEY = "authorization"


def bearer(token: str) -> str:
    """The value of `TOKEN_KEY`."""
    return f"Bearer {token}"


def is_loopback(address: str) -> bool:
    """Whether a `host:port` is this machine's own, which no other machine sees."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_file(path: str | Path, flag: str = "") -> bytes:
    """A file that a user names. Raises: ConfigError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{flag} {path}: {error.strerror or error}".lstrip()) from None


def encode_transitions(transitions: Mapping[str, Any]) -> bytes:
    """Transitions, dictionary observations as `obs/NAME`, as safetensors bytes.

    Raises: BatchError: they are no arrays by name.
    """
    if hasattr(transitions, "_asdict"):
        transitions = transitions._asdict()
    if not isinstance(transitions, Mapping):
        raise BatchError("transitions", "a mapping of arrays", f"a {type(transitions).__name__}")
    return tensors.encode({name: _array(name, value) for name, value in tensors.named(transitions).items()})


def decode_transitions(data: bytes) -> dict[str, Any]:
    """What `encode_transitions` wrote.

    Raises: TensorError for anything else.
    """
    arrays, _ = tensors.decode(data)
    return nested({tuple(name.split("/")): array for name, array in arrays.items()})


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BatchError(name, "an array", f"no rectangular array ({error})") from None
    if array.dtype.name not in tensors.DTYPES:
        raise BatchError(name, f"one of the dtypes {', '.join(tensors.DTYPES)}", f"dtype {array.dtype}")
    return array


def encode_error(error: BatchError) -> bytes:
    """A refused batch, for the other side to raise again."""
    words = [text[:300] for text in (error.field, error.expected, error.got)]  # metadata is short
    return json.dumps([*words, [int(row) for row in error.rows[:8]]]).encode()


def decode_error(data: bytes) -> BatchError:
    """The error that `encode_error` wrote."""
    field, expected, got, rows = json.loads(data)
    return BatchError(field, expected, got, rows)
