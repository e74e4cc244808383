"""What flax builds from a tuple of layers, against matrix products written out, NumPy and onnxruntime."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl import layers, networks, numpy_network
from softrl.export import onnx as onnx_file
from softrl.layers import (
    OVER_BATCH,
    Activation,
    BatchNorm,
    BatchRenorm,
    Dense,
    LayerNorm,
    Residual,
    RMSNorm,
    perceptron,
    residual,
)
from softrl.numpy_network import TanhGaussian
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec

KINDS = {"layer": "LayerNorm", "rms": "RMSNorm", "batch": "BatchNorm", "renorm": "BatchRenorm"}


def dense(part: dict, x: np.ndarray) -> np.ndarray:
    return x @ part["kernel"] + part["bias"]


def normalised(norm: str, part: dict, x: np.ndarray) -> np.ndarray:
    """Of a network that never learned, the running mean over batches is 0 and the variance 1."""
    if norm == "layer":
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    elif norm == "rms":
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    else:
        x = x / np.sqrt(1.0 + 1e-5)
    return x * part["scale"] + part.get("bias", 0.0)


def by_hand(params: dict, x: np.ndarray, depth: int, activation: str, norm: str) -> np.ndarray:
    parts = params["params"]
    for i in range(depth):
        x = dense(parts[f"Dense_{i}"], x)
        if norm != "none":
            x = normalised(norm, parts[f"{KINDS[norm]}_{i}"], x)
        x = {"relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}[activation](x)
    return dense(parts[f"Dense_{depth}"], x)


def blocks_by_hand(params: dict, x: np.ndarray, depth: int, norm: str) -> np.ndarray:
    parts, last = params["params"], "rms" if norm in OVER_BATCH else norm
    x = dense(parts["Dense_0"], x)
    for i in range(depth):
        block, inner = parts[f"Residual_{i}"], x
        if norm != "none":
            inner = normalised(norm, block[f"{KINDS[norm]}_0"], inner)
        x = x + dense(block["Dense_1"], np.maximum(dense(block["Dense_0"], inner), 0.0))
    if last != "none":
        x = normalised(last, parts[f"{KINDS[last]}_0"], x)
    return dense(parts["Dense_1"], x)


def moved(tree: dict) -> dict:
    """Other numbers than those of the start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: x + jnp.float32(rng.uniform(0.1, 0.5, x.shape)), tree)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_field_that_does_not_reach_the_network_is_a_lie(norm, depth, activation):
    net = networks.network(perceptron([8] * depth, 2, activation=activation, norm=norm), 3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    params, batch_stats = jax.jit(net.init)(jax.random.key(0))
    assert batch_stats == ()
    expected = by_hand(jax.device_get(params), x, depth, activation, norm)
    # Sums of at most eight float32 products of order one.
    np.testing.assert_allclose(jax.jit(net.apply)(params, (), x)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "layer", "rms", "batch", "renorm"])
@pytest.mark.parametrize("form", ["perceptron", "residual"])
def test_a_norm_or_block_in_another_place_is_another_network_than_the_publications(form, norm):
    made = perceptron([4] * 2, 2, norm=norm) if form == "perceptron" else residual(4, 2, 2, norm=norm)
    net, x = networks.network(made, 3), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    params, batch_stats = jax.jit(net.init)(jax.random.key(0))
    params = moved(params)
    assert (batch_stats == ()) == (norm not in OVER_BATCH)
    plain = jax.device_get(params)
    expected = by_hand(plain, x, 2, "relu", norm) if form == "perceptron" else blocks_by_hand(plain, x, 2, norm)
    acted, same = jax.jit(net.apply)(params, batch_stats, x)
    # Sums of at most sixteen float32 products of order one, in up to six layers.
    np.testing.assert_allclose(acted, expected, rtol=1e-4, atol=1e-4)
    assert jax.tree.all(jax.tree.map(np.array_equal, same, batch_stats))


MOMENTUM = (0.9, 0.5)
NESTED = (BatchNorm(MOMENTUM[0]), Residual((BatchNorm(MOMENTUM[1]),)))


def by_statistics(params: dict, x: np.ndarray, known: list | None = None) -> tuple[np.ndarray, list]:
    """`NESTED` by known means and variances, or those of the batch; and these, which it finds on the way."""
    found, inner = [], x
    for i, part in enumerate((params["BatchNorm_0"], params["Residual_0"]["BatchNorm_0"])):
        found.append((inner.mean(0), inner.var(0)))
        mean, var = found[i] if known is None else known[i]
        x, inner = inner, (inner - mean) / np.sqrt(var + 1e-5) * part["scale"] + part["bias"]
    return x + inner, found


def test_batch_norm_by_the_wrong_statistics_learns_one_function_and_acts_by_another():
    net, rng = networks.network(NESTED, 3), np.random.default_rng(0)
    params, batch_stats = jax.jit(net.init)(jax.random.key(0))
    params = moved(params)
    plain, learn = jax.device_get(params)["params"], jax.jit(lambda *args: net.apply(*args, train=True))
    running = [(np.zeros(3), np.ones(3))] * 2
    for x in np.float32(rng.normal(1.0, 2.0, (2, 6, 3))):
        y, batch_stats = learn(params, batch_stats, x)
        expected, found = by_statistics(plain, x)
        # float32, and flax has the variance as E[x²] − E[x]².
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
        running = [
            tuple(share * old + (1.0 - share) * new for old, new in zip(before, now, strict=True))
            for share, before, now in zip(MOMENTUM, running, found, strict=True)
        ]
    for kept, (mean, var) in zip([batch_stats, batch_stats["Residual_0"]], running, strict=True):
        np.testing.assert_allclose(kept["BatchNorm_0"]["mean"], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(kept["BatchNorm_0"]["var"], var, rtol=1e-4, atol=1e-5)
    acted, same = jax.jit(net.apply)(params, batch_stats, x)
    np.testing.assert_allclose(acted, by_statistics(plain, x, running)[0], rtol=1e-4, atol=1e-4)
    assert jax.tree.all(jax.tree.map(np.array_equal, same, batch_stats))


RENORM = networks.network((BatchRenorm(momentum=0.9, most_scale=2.0, most_shift=0.5),), 2)


def renormalised(params, statistics, x):
    """In training: the output, its gradient by x where outputs weigh unlike, and the running statistics after it."""
    weigh = lambda x: jnp.sum(jnp.arange(x.size).reshape(x.shape) * RENORM.apply(params, statistics, x, train=True)[0])
    (y, after), grad = RENORM.apply(params, statistics, x, train=True), jax.grad(weigh)(x)
    return y, grad, after["BatchRenorm_0"]


def test_batch_renorm_learns_the_function_by_which_it_acts_where_batches_are_like_the_running_statistics():
    params, _ = jax.jit(RENORM.init)(jax.random.key(0))
    params, rng = moved(params), np.random.default_rng(0)
    x = np.float32(rng.normal(1.0, 2.0, (6, 2)))
    near = {"BatchRenorm_0": {"mean": jnp.float32(x.mean(0) + 0.3), "var": jnp.float32(1.7 * x.var(0))}}
    y, grad, after = jax.jit(renormalised)(params, near, x)
    close = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums of six
    np.testing.assert_allclose(y, RENORM.apply(params, near, x)[0], **close)
    np.testing.assert_allclose(after["mean"], 0.9 * near["BatchRenorm_0"]["mean"] + 0.1 * x.mean(0), **close)
    np.testing.assert_allclose(after["var"], 0.9 * near["BatchRenorm_0"]["var"] + 0.1 * x.var(0), **close)
    # Its gradient is batch norm's, of which none remains along what all of a batch have in common.
    np.testing.assert_allclose(grad.sum(0), 0.0, atol=1e-4)
    np.testing.assert_allclose((grad * (x - x.mean(0))).sum(0), 0.0, atol=1e-3)


def test_batch_renorm_trusts_the_batch_where_the_running_statistics_are_far_off():
    params, batch_stats = jax.jit(RENORM.init)(jax.random.key(0))
    x = np.float32(np.random.default_rng(0).normal(30.0, 9.0, (6, 2)))  # the running ones are 0 and 1
    y, *_ = jax.jit(renormalised)(params, batch_stats, x)
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * 2.0 + 0.5
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_each_critic_of_an_ensemble_has_running_statistics_of_its_own():
    made = perceptron([4], 1, norm="batch")
    one, both = networks.soft_v(made, 5), networks.soft_q(made, 3, 2, num_critics=2)
    params, batch_stats = jax.jit(both.init)(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    q, after = jax.jit(lambda *args: both.apply(*args, train=True))(params, batch_stats, x[:, :3], x[:, 3:])
    alone = jax.jit(lambda *args: one.apply(*args, train=True))
    for k in range(2):
        v, expected = alone(*jax.tree.map(lambda leaf, k=k: leaf[k], (params, batch_stats)), x)
        np.testing.assert_allclose(q[k], v, rtol=1e-4, atol=1e-5)  # a batched product may add in another order
        for name in ("mean", "var"):
            np.testing.assert_allclose(
                after["BatchNorm_0"][name][k], expected["BatchNorm_0"][name], rtol=1e-4, atol=1e-6
            )
    assert not np.allclose(*after["BatchNorm_0"]["mean"])


@pytest.mark.parametrize("num_critics", [None, 2])
def test_weights_that_are_projected_have_norm_one_into_every_unit_but_the_heads(num_critics):
    made = residual(4, 1, 1, norm="batch")
    net = networks.soft_v(made, 3) if num_critics is None else networks.soft_q(made, 2, 1, num_critics=num_critics)
    before = moved(jax.jit(net.init)(jax.random.key(0))[0])["params"]
    before["Dense_0"]["kernel"] = before["Dense_0"]["kernel"].at[..., 0].set(0.0)
    after = jax.jit(lambda params: networks.unit_weights(made, params))({"params": before})["params"]
    same = jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), before, after)
    projected = {"kernel": False, "bias": True}
    assert same == {
        "Dense_0": projected,
        "Residual_0": {
            "BatchNorm_0": {"scale": True, "bias": True},
            "Dense_0": projected,
            "Dense_1": projected,
        },
        "RMSNorm_0": {"scale": True},
        "Dense_1": {"kernel": True, "bias": True},
    }
    pairs = [
        (tree["Dense_0"], tree["Residual_0"]["Dense_0"], tree["Residual_0"]["Dense_1"]) for tree in (before, after)
    ]
    for old, new in zip(*pairs, strict=True):
        old, new = (np.asarray(part["kernel"], np.float64) for part in (old, new))
        norm = np.sqrt(np.square(old).sum(-2, keepdims=True))
        np.testing.assert_allclose(new * norm, old, rtol=2e-6, atol=0.0)  # float32 sums of sixteen; 0 stays 0


@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_every_activation_that_can_be_asked_for_exists_and_is_not_linear(activation):
    assert set(networks.ACTIVATIONS) == set(numpy_network.ACTIVATIONS)
    net = networks.network(perceptron([16], 1, activation=activation), 1)
    params, _ = jax.jit(net.init)(jax.random.key(0))
    y = np.asarray(jax.jit(net.apply)(params, (), jnp.linspace(-1.0, 3.0, 9)[:, None])[0])[:, 0]
    assert np.abs(np.diff(y, 2)).max() > 1e-3


def test_a_small_head_starts_small():
    nets = [networks.network(perceptron([64], 4, head_scale=scale), 3) for scale in (1.0, 0.01)]
    big, small = (jax.jit(net.init)(jax.random.key(0))[0]["params"]["Dense_1"]["kernel"] for net in nets)
    np.testing.assert_allclose(small, 0.1 * big, rtol=1e-5)  # variance scales by 0.01


def test_other_names_of_parameters_would_be_other_random_numbers_and_make_old_checkpoints_unreadable():
    net = networks.network(perceptron([4, 5], 2, norm="layer"), 3)
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    dense = [f"params/Dense_{i}/{part}" for i in range(3) for part in ("bias", "kernel")]
    assert paths == dense + [f"params/LayerNorm_{i}/{part}" for i in range(2) for part in ("bias", "scale")]


def any_norm(draw):
    kind = draw(st.sampled_from([LayerNorm, RMSNorm, BatchNorm, BatchRenorm]))
    return kind(epsilon=draw(st.sampled_from([1e-6, 1e-2])))


@st.composite
def any_layers(draw) -> tuple:
    """Up to six layers of any kind for five numbers; widths of which LayerNorm is well conditioned."""
    made, size = [], 5
    for kind in draw(st.lists(st.sampled_from(["dense", "norm", "activation", "residual"]), max_size=6)):
        if kind == "dense":
            size = draw(st.integers(4, 9))
            made.append(Dense(size))
        elif kind == "norm":
            made.append(any_norm(draw))
        elif kind == "residual":
            made.append(Residual((any_norm(draw), Dense(draw(st.integers(4, 9))), Activation("silu"), Dense(size))))
        else:
            made.append(Activation(draw(st.sampled_from(sorted(networks.ACTIVATIONS)))))
    return tuple(made)


@settings(max_examples=25)
@given(any_layers(), st.integers(0, 2**31 - 1))
def test_a_tuple_of_layers_is_one_function_to_flax_numpy_and_onnx(body, seed):
    rng, made = np.random.default_rng(seed), (*body, Dense(4))
    net = networks.network(made, 5)
    known, out = layers.shapes(made, 5)
    arrays = {
        name: np.float32(
            rng.uniform(0.5, 2.0, shape) if name.endswith("/var") else rng.normal(size=shape) / shape[0] ** 0.5
        )
        for name, shape in known.items()
    }
    params, batch_stats = jax.eval_shape(net.init, jax.random.key(0))
    params, batch_stats = jax.tree_util.tree_map_with_path(
        lambda path, _: arrays[jax.tree_util.keystr(path[1:], simple=True, separator="/")],
        (params["params"], batch_stats),
    )
    assert len(jax.tree.leaves((params, batch_stats))) == len(arrays) and out == 4
    assert len(jax.tree.leaves(batch_stats)) == sum(name.split("/")[-1] in layers.RUNNING for name in arrays)
    x = rng.normal(size=(6, 5)).astype(np.float32)
    flax = np.asarray(net.apply({"params": params}, batch_stats, x)[0])
    ours = numpy_network.run(numpy_network.steps(made, arrays), x)
    np.testing.assert_allclose(ours, flax, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(flax).max()))
    arrays = {f"policy/{name}": value for name, value in arrays.items()}
    spec = PolicySpec((Input((), (5,)),), made, TanhGaussian(2, -5.0, 2.0), None)
    arrays |= {"action/low": -np.ones(2, np.float32), "action/high": np.ones(2, np.float32)}
    theirs = onnx_file.run(onnx_file.serialize(NumpyPolicy(spec, arrays), {}), {"obs": x})
    np.testing.assert_allclose(theirs, np.tanh(flax[:, :2]), rtol=1e-5, atol=1e-5 * max(1.0, np.abs(flax).max()))


def test_uniform_weights_are_within_the_square_root_of_their_inputs_and_norms_are_left_alone():
    net = networks.soft_q(residual(64, 1, 1, norm="layer"), 12, 4, num_critics=2)
    before = net.init(jax.random.key(0))[0]["params"]
    after = networks.uniform({"params": before}, jax.random.key(1))["params"]
    inputs = {"Dense_0": 16, "Dense_1": 64}
    for name, count in inputs.items():
        for part in ("kernel", "bias"):
            drawn, bound = np.asarray(after[name][part]), count**-0.5
            assert drawn.shape == before[name][part].shape and np.abs(drawn).max() <= bound
        np.testing.assert_allclose(np.asarray(after[name]["kernel"]).std(), bound / 3**0.5, rtol=0.1)
        assert not np.array_equal(*after[name]["kernel"]), "an ensemble of one network"
    chex.assert_trees_all_equal(after["LayerNorm_0"], before["LayerNorm_0"])
