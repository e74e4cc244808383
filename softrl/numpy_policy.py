"""A policy file, and the policy in NumPy: what acts on a robot, or in an actor's process, without JAX.

A policy file is safetensors. Its metadata has `format` and `spec`, the JSON of `PolicySpec`; its arrays are

    policy/Dense_0/kernel [I, H], policy/Dense_0/bias [H], policy/LayerNorm_0/scale [H], policy/LayerNorm_0/bias [H], …,
    policy/Dense_L/kernel [H, 2 A], policy/Dense_L/bias [2 A]   L hidden layers, then mean and raw log_std
    statistics/mean/NAME, statistics/variance/NAME            of each observation that the actor sees; a bare array
                                                              has no /NAME
    action/low [A], action/high [A]                           of the actions that leave

Imports NumPy and safetensors only.
"""

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softrl import numpy_network, tensors
from softrl.errors import TensorError
from softrl.numpy_network import Layer

FORMAT = "softrl-policy-1"


class PolicySpec(NamedTuple):
    """How a policy's arrays are to be read.

    inputs: name and shape of each observation that the actor sees, in the order in which they are joined; a policy of
    one bare array calls it "obs". nested: whether observations come as (nested) dictionaries, `a/b` naming
    `obs["a"]["b"]`. width, depth: of the hidden layers. normalize_obs: (x − mean) / √(variance + epsilon), clipped to
    ± clip. log_std_min, log_std_max: the range into which a tanh squashes the raw log standard deviation.
    """

    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    nested: bool
    action_size: int
    width: int
    depth: int
    activation: str
    layer_norm: bool
    normalize_obs: bool
    clip: float
    epsilon: float
    layer_norm_epsilon: float
    log_std_min: float
    log_std_max: float


class NumpyPolicy(NamedTuple):
    """A policy that acts by NumPy alone. version: the learner's, 0 for an exported one."""

    spec: PolicySpec
    arrays: dict[str, np.ndarray]
    version: int = 0

    @classmethod
    def load(cls, source: bytes | str | Path) -> "NumpyPolicy":
        """A policy from a policy file or its bytes.

        Raises: TensorError where it is none.
        """
        return decode(source if isinstance(source, bytes) else Path(source).read_bytes())

    def __call__(self, obs: Any, rng: np.random.Generator | None = None) -> np.ndarray:
        """Actions for one observation or a batch `[B, ...]` (a dictionary of them where the policy is `nested`).

        Args: `rng`: to sample; without it the mode.
        Returns: `[A]` or `[B, A]`, float32, between the policy's `action/low` and `action/high`.
        Raises: TensorError naming an observation that is missing or has another shape.
        """
        x, single = _joined(self, obs)
        noise = None if rng is None else rng.standard_normal((len(x), self.spec.action_size), np.float32)
        bounds = {"log_std_min": self.spec.log_std_min, "log_std_max": self.spec.log_std_max}
        low, high = self.arrays["action/low"], self.arrays["action/high"]
        unit = numpy_network.tanh_gaussian(_perceptron(self, x), noise, **bounds)
        action = 0.5 * (low + high) + 0.5 * (high - low) * unit
        return action[0] if single else action


def encode(policy: NumpyPolicy, **about: str) -> bytes:
    """The policy file of a policy; `about`: more metadata, for example the environment's name."""
    metadata = {"format": FORMAT, "spec": json.dumps(policy.spec._asdict()), "version": str(policy.version)}
    return tensors.encode(policy.arrays, about | metadata)


def decode(data: bytes) -> NumpyPolicy:
    """The policy that `encode` wrote, every array of it of the shape that its spec asks for.

    Raises: TensorError saying what is wrong.
    """
    arrays, metadata = tensors.decode(data)
    if metadata.get("format") != FORMAT:
        raise TensorError(f"expected a policy file of format {FORMAT!r}, got {metadata.get('format')!r}")
    try:
        fields = json.loads(metadata["spec"])
        inputs = tuple((str(name), tuple(map(int, shape))) for name, shape in fields.pop("inputs"))
        spec, version = PolicySpec(inputs=inputs, **fields), int(metadata.get("version", "0"))
        numpy_network.ACTIVATIONS[spec.activation]
        # Before anything is built as large as a damaged spec says.
        expected = shapes(spec) if len(inputs) + spec.depth < len(arrays) else {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TensorError("the policy file's spec is damaged, or written by another version") from None
    for name in expected.keys() | arrays.keys():
        got = (arrays[name].shape, arrays[name].dtype.name) if name in arrays else "nothing"
        if got != (expected.get(name), "float32"):
            raise TensorError(f"policy file, {name}: expected float32 of shape {expected.get(name)}, got {got}")
    return NumpyPolicy(spec, arrays, version)


def shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """The shape of every array that a policy file with this spec holds, by name."""
    sizes = [sum(math.prod(shape) for _, shape in spec.inputs), *[spec.width] * spec.depth, 2 * spec.action_size]
    known = {moments(spec, name)[i]: shape for name, shape in spec.inputs for i in (0, 1)}
    known |= {"action/low": (spec.action_size,), "action/high": (spec.action_size,)}
    for i, (size, out) in enumerate(itertools.pairwise(sizes)):
        known |= {f"policy/Dense_{i}/kernel": (size, out), f"policy/Dense_{i}/bias": (out,)}
        if spec.layer_norm and i < spec.depth:
            known |= {f"policy/LayerNorm_{i}/{name}": (out,) for name in ("scale", "bias")}
    return known


def moments(spec: PolicySpec, name: str) -> tuple[str, str]:
    """Under which names a policy file keeps an observation's mean and variance."""
    entry = f"/{name}" if spec.nested else ""
    return f"statistics/mean{entry}", f"statistics/variance{entry}"


def _joined(policy: NumpyPolicy, obs: Any) -> tuple[np.ndarray, bool]:
    """The normalised observations as one `[B, O]`, and whether `obs` was a single one."""
    spec, parts, batches = policy.spec, [], set()
    for name, shape in spec.inputs:
        x = np.asarray(_entry(obs, name) if spec.nested else obs, np.float32)
        batch = x.shape[: x.ndim - len(shape)]
        batches.add(batch)
        if x.shape[x.ndim - len(shape) :] != shape or len(batch) > 1 or len(batches) > 1:
            raise TensorError(f"observation {name}: expected {list(shape)} or a batch of it, got {list(x.shape)}")
        x = x.reshape(-1, *shape)
        if spec.normalize_obs:
            mean, variance = (policy.arrays[moment] for moment in moments(spec, name))
            x = numpy_network.normalized(x, mean, variance, epsilon=spec.epsilon, clip=spec.clip)
        parts.append(x.reshape(len(x), -1))
    return np.concatenate(parts, axis=-1), not batch


def _entry(obs: Any, name: str) -> Any:
    for part in name.split("/"):
        if not isinstance(obs, Mapping) or part not in obs:
            raise TensorError(f"observation {name}: expected a dictionary that has it, got {type(obs).__name__}")
        obs = obs[part]
    return obs


def _perceptron(policy: NumpyPolicy, x: np.ndarray) -> np.ndarray:
    spec, layers = policy.spec, []
    for i in range(spec.depth + 1):
        names = [f"policy/Dense_{i}/kernel", f"policy/Dense_{i}/bias"]
        if spec.layer_norm and i < spec.depth:
            names += [f"policy/LayerNorm_{i}/scale", f"policy/LayerNorm_{i}/bias"]
        layers.append(Layer(*(policy.arrays[name] for name in names)))
    settings = {"activation": spec.activation, "layer_norm_epsilon": spec.layer_norm_epsilon}
    return numpy_network.perceptron(x, layers[:-1], layers[-1], **settings)
