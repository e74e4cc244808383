"""Policy files, also those of older versions, and what acts by them."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import numpy_policy, running_statistics, tensors
from softrl.errors import TensorError
from softrl.layers import NORMALIZER, Activation, Dense, Normalizer, perceptron, residual
from softrl.numpy_network import Categorical, Sampler, TanhGaussian
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec

DATA = Path(__file__).parent / "data"
INPUTS = (Input(("state", "arm"), (3,)), Input(("state", "wrist"), (2, 2)))
ROWS = np.linspace(-3.0, 3.0, 21, dtype=np.float32).reshape(3, 7)
NESTED = {"state": {"arm": ROWS[:, :3], "wrist": ROWS[:, 3:].reshape(3, 2, 2)}}


def made(head, normalizer: Normalizer | None = NORMALIZER, inputs=INPUTS, layers=None) -> NumpyPolicy:
    rng = np.random.default_rng(0)
    layers = perceptron([8, 6], head.outputs, activation="elu", norm="layer") if layers is None else layers
    spec = PolicySpec(inputs, layers, head, normalizer)
    arrays = {
        name: np.float32(rng.uniform(0.5, 1.5, shape) if "var" in name else rng.normal(size=shape))
        for name, shape in numpy_policy.shapes(spec).items()
    }
    return NumpyPolicy(spec, arrays | {"action/high": arrays["action/low"] + 2.0} if head.outputs == 4 else arrays, 3)


GAUSSIAN, DISCRETE, SAMPLER = TanhGaussian(2, -5.0, 2.0), Categorical(5), Sampler(2)


@pytest.mark.parametrize("head", [GAUSSIAN, DISCRETE, SAMPLER])
@pytest.mark.parametrize("normalizer", [NORMALIZER, Normalizer(1e-2, 5.0), None])
def test_a_policy_acts_after_its_file_as_before(head, normalizer):
    policy = made(head, normalizer)
    read = numpy_policy.decode(numpy_policy.encode(policy, env="robot"))
    assert read.spec == policy.spec and read.version == 3
    for seed in (None, 0):
        rngs = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
        np.testing.assert_array_equal(read(NESTED, rngs[0]), policy(NESTED, rngs[1]))
    json.loads(tensors.metadata(numpy_policy.encode(policy))["spec"])  # what others read


@pytest.mark.parametrize("norm", ["none", "rms", "batch"])
@pytest.mark.parametrize("form", ["perceptron", "residual"])
def test_a_file_holds_running_statistics_and_blocks_too(form, norm):
    known = perceptron([8, 6], 4, norm=norm) if form == "perceptron" else residual(8, 2, 4, norm=norm)
    policy = made(GAUSSIAN, layers=known)
    data = numpy_policy.encode(policy)
    read = numpy_policy.decode(data)
    assert read.spec == policy.spec and read.arrays.keys() == policy.arrays.keys()
    np.testing.assert_array_equal(read(NESTED), policy(NESTED))
    for name in (name for name in policy.arrays if name.startswith("policy/")):
        arrays, metadata = tensors.decode(data)
        arrays = {kept: array for kept, array in arrays.items() if kept != name}
        with pytest.raises(TensorError, match=name):
            numpy_policy.decode(tensors.encode(arrays, metadata))


def test_weights_in_float16_are_widened_as_they_are_read():
    policy = made(GAUSSIAN)
    halved = {name: x.astype(np.float16) for name, x in policy.arrays.items() if name.endswith("/kernel")}
    assert len(halved) == 3
    read = numpy_policy.decode(numpy_policy.encode(NumpyPolicy(policy.spec, policy.arrays | halved, policy.version)))
    rounded = {name: x.astype(np.float32) for name, x in halved.items()}
    assert all(x.dtype == np.float32 for x in read.arrays.values())
    expected = NumpyPolicy(policy.spec, policy.arrays | rounded)
    np.testing.assert_array_equal(read(NESTED), expected(NESTED))
    assert (read(NESTED) != policy(NESTED)).any()


# Written and computed by softrl 0.1.0, when a policy was always a perceptron: modes, and draws of default_rng(0).
OLD = {
    "policy-1": (
        NESTED,
        [[-0.26554152, 0.09723146], [-1.1432565, 0.32682922], [-1.578225, 0.37190878]],
        [[-0.11110646, 0.02970852], [-1.1606529, 0.31361654], [-1.5707407, 0.37107903]],
    ),
    "policy-1-bare": (
        ROWS,
        [[-0.70062184, -0.9537536], [-0.33153394, 0.15930139], [-0.99257094, 0.95416415]],
        [[-0.70062166, -0.97572064], [-0.33154398, 0.15929686], [-0.99257094, 0.95416415]],
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_files_of_the_first_format_still_act(name):
    policy, (obs, modes, draws) = NumpyPolicy.load(DATA / f"{name}.safetensors"), OLD[name]
    assert policy.version == 7
    # Another machine's matrix products may add in another order.
    np.testing.assert_allclose(policy(obs), modes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(policy(obs, np.random.default_rng(0)), draws, rtol=1e-6, atol=1e-6)
    again = numpy_policy.decode(numpy_policy.encode(policy))
    np.testing.assert_array_equal(again(obs), policy(obs))


def respelled(policy: NumpyPolicy, change) -> bytes:
    """The policy's file with its spec changed, as damage or another version might leave it."""
    data = numpy_policy.encode(policy)
    spec = json.loads(tensors.metadata(data)["spec"])
    change(spec)
    return tensors.encode(policy.arrays, {"format": numpy_policy.FORMAT, "spec": json.dumps(spec)})


DAMAGE = {
    "a squash that is not known yet": lambda spec: spec["head"].update(map="softsign"),
    "a head that is not known yet": lambda spec: spec["head"].update(name="beta"),
    "a bound that is no number": lambda spec: spec["head"].update(log_std_min="low"),
    "no layers": lambda spec: spec.pop("layers"),
    "layers that end in another size": lambda spec: spec["layers"].pop(),
    "a layer that is not known yet": lambda spec: spec["layers"].insert(0, ["Attention", 8]),
    "an activation that is not known": lambda spec: spec["layers"].__setitem__(2, ["Activation", "sin"]),
    "a block that ends in another size": lambda spec: spec["layers"].insert(0, ["Residual", [["Dense", 3, 1.0]]]),
    "a block without layers": lambda spec: spec["layers"].insert(0, ["Residual"]),
    "an epsilon that is no number": lambda spec: spec["layers"].__setitem__(1, ["LayerNorm", "small"]),
    "a size without end": lambda spec: spec["head"].update(size=float("inf")),
    "a shape without end": lambda spec: spec["inputs"][0].__setitem__(1, [float("inf")]),
    "an observation without end": lambda spec: spec["inputs"][0].__setitem__(1, [10**15]),
    "a normaliser that lacks its clip's kind": lambda spec: spec["normalizer"].update(clip=None),
    "an input more": lambda spec: spec["inputs"].append([["other"], [1]]),
    "another spec altogether": lambda spec: spec.clear(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_this_version_cannot_act_by_is_refused(damage):
    with pytest.raises(TensorError):
        numpy_policy.decode(respelled(made(GAUSSIAN), DAMAGE[damage]))


def test_the_first_formats_damage_is_refused_before_anything_is_built_as_large_as_it_says():
    arrays, metadata = tensors.decode((DATA / "policy-1.safetensors").read_bytes())
    spec = json.loads(metadata["spec"])
    for change in ({"depth": 10**12}, {"width": None}, {"activation": "sin"}, {"inputs": 3}, {"action_size": "2"}):
        with pytest.raises(TensorError):
            numpy_policy.decode(tensors.encode(arrays, metadata | {"spec": json.dumps(spec | change)}))


@pytest.mark.parametrize("wrong", [ROWS, {"state": {"arm": ROWS[:, :3]}}, {"state": ROWS}, {}, [1.0]])
def test_an_observation_that_is_not_there_is_named(wrong):
    with pytest.raises(TensorError, match="observation state/"):
        made(GAUSSIAN)(wrong)
    with pytest.raises(TensorError, match="wrist"):
        made(GAUSSIAN)({"state": NESTED["state"] | {"wrist": ROWS}})


def test_normalised_observations_are_those_that_the_learner_saw():
    policy = made(GAUSSIAN)
    far = jax.tree.map(lambda x: x * np.float32([[1e-2], [1.0], [1e6]]).reshape(3, *[1] * (x.ndim - 1)), NESTED)
    mean, variance = (
        {"state": {entry.path[-1]: jnp.asarray(policy.arrays[entry.moments[i]]) for entry in INPUTS}} for i in (0, 1)
    )
    seen = running_statistics.normalize(running_statistics.Statistics(jnp.float32(9.0), mean, variance), far)
    joined = np.concatenate([np.reshape(seen["state"][name], (3, -1)) for name in ("arm", "wrist")], axis=1)
    plain = NumpyPolicy(policy.spec._replace(layers=(), head=Categorical(7)), policy.arrays)
    ours = plain.outputs([far["state"]["arm"], far["state"]["wrist"]])
    np.testing.assert_allclose(ours, joined, rtol=1e-6, atol=1e-6)
    assert np.abs(ours[2]).min() == NORMALIZER.clip


def test_a_samplers_noise_enters_the_layers_and_is_added_to_what_they_make_of_it():
    policy, noise = made(SAMPLER), np.float32([[0.5, -1.0], [0.0, 0.0], [2.0, 1.0]])
    drawn, modes = policy.act(NESTED, noise), policy.act(NESTED)
    np.testing.assert_array_equal(drawn[1], modes[1])  # the mode is that of no noise
    parts = [NESTED["state"]["arm"], NESTED["state"]["wrist"]]
    assert np.abs(policy.outputs(parts, noise) - policy.outputs(parts))[[0, 2]].min() > 1e-3
    np.testing.assert_array_equal(drawn, np.tanh(policy.outputs(parts, noise) + noise))


def test_draws_are_the_bits_that_hosted_runs_have_always_had():
    policy, rng = made(GAUSSIAN), lambda: np.random.default_rng(5)
    np.testing.assert_array_equal(policy.draw_noise(rng(), 4, 3), rng().standard_normal((4, 3, 2), np.float32))
    np.testing.assert_array_equal(policy.explore(rng(), 4, 3), np.float32(rng().uniform(-1.0, 1.0, (4, 3, 2))))
    unit = policy.act(NESTED, policy.draw_noise(rng(), 3))
    assert unit.shape == (3, 2) and unit.dtype == np.float32 and np.abs(unit).max() <= 1.0
    low, high = policy.arrays["action/low"], policy.arrays["action/high"]
    np.testing.assert_allclose(policy(NESTED, rng()), low + 0.5 * (unit + 1.0) * (high - low), atol=1e-6)


def test_a_discrete_policy_draws_each_action_as_often_as_its_logits_say():
    bare, count = Input((), (1,)), 20_000
    spec = PolicySpec((bare,), (Activation("tanh"), Dense(3)), Categorical(3), None)
    logits = np.float32([0.0, 1.0, -1.0])
    policy = NumpyPolicy(spec, {"policy/Dense_0/kernel": np.zeros((1, 3), np.float32), "policy/Dense_0/bias": logits})
    drawn = policy(np.zeros((count, 1)), np.random.default_rng(0))
    assert drawn.dtype == np.int32 and drawn.shape == (count,)
    expected = np.exp(logits) / np.exp(logits).sum()
    # Five standard errors of a share.
    shares = np.bincount(drawn, minlength=3) / count
    np.testing.assert_array_less(np.abs(shares - expected), 5 * np.sqrt(expected * (1 - expected) / count))
    assert policy(np.zeros(1)) == 1 and policy(np.zeros(1)).shape == ()
    fair = np.bincount(policy.explore(np.random.default_rng(0), count // 2, 2).ravel(), minlength=3) / count
    np.testing.assert_array_less(np.abs(fair - 1 / 3), 5 * np.sqrt(2 / 9 / count))
