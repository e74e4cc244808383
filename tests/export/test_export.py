"""An exported policy acts as the live one, wherever it runs: onnxruntime, bare JAX, bare NumPy."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest

from softrl import cli, export, networks, numpy_policy, running_statistics
from softrl.agents.carry import stateless
from softrl.agents.observations import whole
from softrl.agents.sac import SACConfig, SACHypers, actor, build, resolve
from softrl.algorithm import Agent
from softrl.distributions import categorical
from softrl.errors import ConfigError, ExportError
from softrl.export import check, stablehlo
from softrl.export import onnx as onnx_file
from softrl.layers import NORMALIZER, perceptron
from softrl.numpy_network import Categorical
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec
from softrl.run import load, train
from softrl.types import Continuous, Discrete, EnvSpec
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).parents[2]
BARE = EnvSpec("bare", jax.ShapeDtypeStruct((5,), jnp.float32), Continuous(3), 1, 10)
DICTIONARY = EnvSpec(
    "dictionary",
    {
        "state": {"wrist": jax.ShapeDtypeStruct((2, 2), jnp.float32), "arm": jax.ShapeDtypeStruct((3,), jnp.float32)},
        "privileged_state": jax.ShapeDtypeStruct((4,), jnp.float32),
    },
    Continuous(2),
    1,
    10,
    actor_obs="state",
)
LOW, HIGH = np.float32([-2.0, 0.0, -1.0]), np.float32([2.0, 0.5, 1.0])
BOUNDED = BARE._replace(action=Continuous(3, tuple(LOW.tolist()), tuple(HIGH.tolist())))


def made(spec: EnvSpec = BARE, **changes):
    """An agent and its policy, with statistics that are not those of the start and weights that act."""
    config = SACConfig(**{"width": 32, "depth": 2, "normalize_obs": True} | changes)
    agent = build(config, spec)
    policy = jax.jit(lambda key: agent.policy(agent.init(key, resolve(SACHypers(), spec))))(jax.random.key(0))
    rng = np.random.default_rng(1)
    moved = jax.tree.map(lambda x: jnp.float32(rng.normal(size=x.shape) * 3), policy.statistics.mean)
    spread = jax.tree.map(lambda x: jnp.float32(rng.uniform(1e-3, 9, x.shape)), policy.statistics.variance)
    params = jax.tree.map(lambda x: x + jnp.float32(0.1 * rng.normal(size=x.shape)), policy.params)
    running = jax.tree.map(lambda x: x + jnp.float32(rng.uniform(0.0, 1.0, x.shape)), policy.batch_stats)
    policy = policy._replace(params=params, batch_stats=running)
    return config, agent, policy._replace(statistics=policy.statistics._replace(mean=moved, variance=spread))


VARIANTS = {
    "relu": (BARE, {}),
    "silu": (BARE, {"activation": "silu"}),
    "elu": (BARE, {"activation": "elu", "norm": "none"}),
    "gelu": (BARE, {"activation": "gelu", "depth": 3}),
    "tanh": (BARE, {"activation": "tanh", "norm": "none"}),
    "linear": (BARE, {"depth": 0}),
    "rms": (BARE, {"norm": "rms"}),
    "batch": (BARE, {"norm": "batch"}),
    "blocks": (BARE, {"norm": "none", "residual": True}),
    "blocks, layer": (BARE, {"norm": "layer", "residual": True}),
    "blocks, rms": (BARE, {"norm": "rms", "residual": True}),
    "blocks, batch": (DICTIONARY, {"norm": "batch", "residual": True, "policy_widths": "32"}),
    "raw observations": (BARE, {"normalize_obs": False}),
    "dictionary": (DICTIONARY, {}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_numpy_and_onnx_act_as_jax_does_for_every_network(variant):
    spec, changes = VARIANTS[variant]
    config, agent, policy = made(spec, **changes)
    plain = actor(config, spec, policy)
    act = jax.jit(lambda obs: agent.act(policy, (), whole(spec, obs), None)[0])
    live = lambda named: act(check.nested(plain, named))
    written = numpy_policy.decode(numpy_policy.encode(plain))
    assert check.difference(plain, live, lambda named: written(check.nested(plain, named)), "NumPy") <= check.LIMIT
    data = onnx_file.serialize(plain, {"env": "test"})
    assert check.difference(plain, live, lambda named: onnx_file.run(data, named), "ONNX") <= check.LIMIT


def test_trained_weights_may_round_more_and_a_wrong_weight_is_still_refused():
    config, _, policy = made(BARE)
    fresh = actor(config, BARE, policy)
    large = {name: a * np.float32(12.0) if a.ndim > 1 else a for name, a in fresh.arrays.items()}
    trained = replace(fresh, arrays=large)
    named = check.observations(trained)
    assert check.rounding(trained, named) > 4 * check.rounding(fresh, named)
    live = lambda named: trained(check.nested(trained, named))
    data = onnx_file.serialize(trained, {})
    check.difference(trained, live, lambda named: onnx_file.run(data, named), "ONNX")
    name = next(name for name, a in large.items() if a.ndim > 1)
    wrong = large[name].copy()
    wrong[0, 0] *= 1.01
    other = replace(trained, arrays=large | {name: wrong})
    with pytest.raises(ExportError, match="acts otherwise"):
        check.difference(trained, live, lambda named: other(check.nested(other, named)), "NumPy")


def test_actions_leave_within_the_robots_own_bounds():
    config, agent, policy = made()
    plain = actor(config, BOUNDED, policy)
    unit = actor(config, BARE, policy)
    obs = check.observations(plain)
    expected = LOW + 0.5 * (unit(obs["obs"]) + 1.0) * (HIGH - LOW)
    # A few roundings of float32 at magnitudes of at most 2.
    np.testing.assert_allclose(plain(obs["obs"]), expected, atol=1e-6)
    np.testing.assert_allclose(onnx_file.run(onnx_file.serialize(plain, {}), obs), expected, atol=1e-5)
    data = stablehlo.serialize(agent, BARE, policy, plain)
    np.testing.assert_allclose(stablehlo.run(data, obs["obs"]), expected, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"norm": "batch"}, {"norm": "batch", "residual": True}])
def test_a_robot_without_privileged_observations_can_run_the_program(changes):
    config, agent, policy = made(DICTIONARY, **changes)
    plain = actor(config, DICTIONARY, policy)
    obs = check.nested(plain, check.observations(plain, rows=7))
    data = stablehlo.serialize(agent, DICTIONARY, policy, plain)
    assert set(obs) == {"state"}
    np.testing.assert_allclose(stablehlo.run(data, obs), plain(obs), atol=check.LIMIT)


def test_samples_of_the_numpy_policy_have_the_policys_distribution():
    config, agent, policy = made()
    plain, obs = actor(config, BARE, policy), np.zeros(5, np.float32)
    many = np.repeat(obs[None], 20_000, axis=0)
    ours = np.arctanh(np.clip(plain(many, np.random.default_rng(0)), -0.999999, 0.999999))
    theirs = np.arctanh(np.clip(agent.act(policy, (), many, jax.random.key(0))[0], -0.999999, 0.999999))
    # Five standard errors of a mean and of a standard deviation over 20,000 draws.
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=5 * theirs.std(0).max() * (2 / 20_000) ** 0.5)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=5 * (1 / 20_000) ** 0.5)


def discrete(moved: float = 0.0) -> tuple[NumpyPolicy, Agent]:
    """A policy over four actions, and an agent that acts by the same numbers in JAX. moved: what one logit is more."""
    rng = np.random.default_rng(0)
    spec = PolicySpec((Input((), (5,)),), perceptron([16], 4), Categorical(4), NORMALIZER)
    sizes = numpy_policy.shapes(spec)
    arrays = {name: np.float32(rng.uniform(0.1, 1.0, shape)) for name, shape in sizes.items()}
    arrays |= {name: np.float32(rng.normal(size=sizes[name])) for name in sizes if "kernel" in name}
    params: dict = {}
    for name, value in arrays.items():
        if name.startswith("policy/"):
            params.setdefault(name.split("/")[1], {})[name.split("/")[2]] = jnp.asarray(value)
    moments = (jnp.asarray(arrays[f"statistics/{name}"]) for name in ("mean", "variance"))
    seen = running_statistics.Statistics(jnp.float32(1.0), *moments)

    def act(policy, carry, obs, key):
        out, _ = networks.network(spec.layers, 5).apply({"params": params}, (), running_statistics.normalize(seen, obs))
        return categorical.mode(categorical.Categorical(out.at[:, 1].add(moved))), carry, ()

    return NumpyPolicy(spec, arrays), Agent(None, stateless, act, *[None] * 4)


def test_a_discrete_policys_files_choose_the_live_policys_actions():
    plain, agent = discrete()
    obs, live = check.observations(plain)["obs"], lambda named: agent.act((), (), named["obs"], None)[0]
    program = stablehlo.serialize(agent, BARE._replace(action=Discrete(4)), (), plain)
    data = onnx_file.serialize(plain, {})
    files = {
        "NumPy": lambda named: numpy_policy.decode(numpy_policy.encode(plain))(named["obs"]),
        "ONNX": lambda named: onnx_file.run(data, named),
        "StableHLO": lambda named: stablehlo.run(program, named["obs"]),
    }
    for name, run in files.items():
        assert check.difference(plain, live, run, name) <= check.LIMIT
    assert [run({"obs": obs}).dtype.name for run in files.values()] == ["int32", "int64", "int32"]
    assert len(np.unique(plain(obs))) > 1
    other = discrete(moved=0.1)[1]
    with pytest.raises(ExportError, match="otherwise"):
        check.difference(plain, lambda named: other.act((), (), named["obs"], None)[0], files["ONNX"], "ONNX")


def test_observations_may_be_called_as_they_are_called_inside_the_file():
    """`mean` and `scaled` were values of the graph; what a file gives cannot have the name of what it takes."""
    names = ("mean", "scaled", "joined", "first", "axis", "unit_action", "noise", "state", "state/mean")
    shapes = {name: jax.ShapeDtypeStruct((2,), jnp.float32) for name in names}
    config, _, policy = made(BARE._replace(obs=shapes))
    plain = actor(config, BARE._replace(obs=shapes), policy)
    inputs = check.observations(plain)
    np.testing.assert_allclose(onnx_file.run(onnx_file.serialize(plain, {}), inputs), plain(inputs), atol=1e-5)
    shapes = {"action": shapes["mean"], "arm": shapes["mean"]}
    config, _, policy = made(BARE._replace(obs=shapes))
    with pytest.raises(ExportError, match="'action', as a value of the file itself: rename it"):
        onnx_file.serialize(actor(config, BARE._replace(obs=shapes), policy), {})


def test_a_file_that_acts_otherwise_is_not_written(run_directory, tmp_path, monkeypatch):
    run = load(run_directory)
    monkeypatch.setattr(numpy_policy, "encode", lambda policy, **about: _damaged(policy))
    with pytest.raises(ExportError, match="otherwise than the live policy"):
        export.export(run.assembled, run.best_policy, tmp_path / "p.safetensors", format="safetensors")
    assert not list(tmp_path.iterdir())


def _damaged(policy):
    arrays = dict(policy.arrays, **{"policy/Dense_1/bias": policy.arrays["policy/Dense_1/bias"] + np.float32(1e-3)})
    return ENCODE(NumpyPolicy(policy.spec, arrays))


ENCODE = numpy_policy.encode


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """A run of two members that has been evaluated and saved."""
    directory = tmp_path_factory.mktemp("export") / "run"
    train(tiny.config(seeds=2, norm="layer", steps=256), out=directory)
    return directory


ALONE = {
    "onnx": "import onnxruntime as o; s = o.InferenceSession({path!r}, providers=['CPUExecutionProvider']); "
    "y = s.run(None, {{s.get_inputs()[0].name: x}})[0]",
    "stablehlo": "import jax; y = jax.export.deserialize(bytearray(open({path!r}, 'rb').read())).call(x)",
    "safetensors": "from softrl.numpy_policy import NumpyPolicy; y = NumpyPolicy.load({path!r})(x); "
    "assert not {{'jax', 'flax', 'grpc'}} & set(sys.modules), 'a robot needs NumPy only'",
}


@pytest.mark.parametrize("format", export.FORMATS)
def test_the_command_writes_a_file_that_acts_alone(run_directory, tmp_path, capsys, user_environment, format):
    path = tmp_path / f"policy.{format}"
    with pytest.raises(SystemExit) as left:
        cli.main(["export", str(run_directory), "--format", format, "--out", str(path)])
    assert left.value.code == 0 and "max difference" in capsys.readouterr().out
    run = load(run_directory)
    obs = np.linspace(-3.0, 3.0, 5 * 1, dtype=np.float32).reshape(5, 1) * np.ones(
        (1, run.assembled.program.env.spec.obs.shape[0]), np.float32
    )
    code = (
        f"import sys, json, numpy as np; x = np.float32({obs.tolist()}); {ALONE[format].format(path=str(path))}; "
        "assert not ('softrl' in sys.modules and 'jax' in sys.modules); print(json.dumps(np.asarray(y).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=user_environment, capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(json.loads(done.stdout), run.policy(obs), atol=check.LIMIT)


def test_any_member_of_a_run_can_be_exported(run_directory, tmp_path):
    run = load(run_directory)
    both = [export.member_policy(run_directory, run.assembled, member) for member in (0, 1)]
    obs = np.ones((1, *run.assembled.program.env.spec.obs.shape), np.float32)
    policies = [actor(run.config.agent, run.assembled.program.env.spec, policy) for policy, _ in both]
    assert not np.array_equal(policies[0](obs), policies[1](obs))
    with pytest.raises(ConfigError, match=r"\[0, 1\], got 2"):
        export.member_policy(run_directory, run.assembled, 2)


def test_a_files_suffix_is_its_format_and_nothing_else(run_directory, tmp_path):
    run = load(run_directory)
    done = run.export(tmp_path / "p.safetensors")
    obs = np.ones((2, *run.assembled.program.env.spec.obs.shape), np.float32)
    np.testing.assert_allclose(NumpyPolicy.load(done.path)(obs), run.policy(obs), atol=check.LIMIT)
    with pytest.raises(ConfigError, match=r"x\.onnx would hold safetensors: name the file \.safetensors, or ask"):
        run.export(tmp_path / "x.onnx", "safetensors")
    assert not (tmp_path / "x.onnx").exists()


def test_onnx_says_what_it_is(run_directory, tmp_path):
    run = load(run_directory)
    run.export(tmp_path / "p.onnx")
    model = onnx.load(tmp_path / "p.onnx")
    props = {entry.key: entry.value for entry in model.metadata_props}
    best = max(run.metrics, key=lambda line: max(line["eval"]["return_mean"]))
    assert (props["env"], props["version"]) == ("probe/bounded-lq", str(best["updates"]))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
