"""Environments by name and by object: the right one, or one line that says what to give."""

import sys
from typing import NamedTuple

import brax.envs
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.spaces import Box

import softrl
from experiments.environments.point_mass import Params, PointMass
from experiments.environments.point_mass import make_env as make_point
from experiments.environments.reaching_arm import Arm
from experiments.environments.thermostat import Thermostat
from softrl.envs import EnvConfig, HostEnv, families, found, make_env, names, physics
from softrl.envs.brax import make_brax
from softrl.errors import ConfigError
from tests import tiny


@pytest.mark.parametrize(
    "name, words",
    [
        ("brax/halfchetah", ["'brax/halfchetah'", "did you mean 'brax/halfcheetah'", "softrl envs"]),
        ("probe/bounded-lqr", ["did you mean 'probe/bounded-lq'"]),
        ("halfcheetah", ["did you mean 'brax/halfcheetah'"]),
        ("", ["unknown environment ''"]),
        ("brax/", ["unknown environment"]),
        ("mine/unheard-of", ["unknown environment 'mine/unheard-of'"]),
        ("no_such.module:make_env", ["no module 'no_such.module'", "go to its directory, or install it"]),
        ("experiments.environments.point_mas:make_env", ["no module 'experiments.environments.point_mas'"]),
        ("experiments.environments.point_mass:make_evn", ["no 'make_evn'", "did you mean 'make_env'"]),
        ("gym/no_such_package:Id-v0", ["no module 'no_such_package'"]),
        ("NoSuchThing-v0", ["unknown Gymnasium environment 'NoSuchThing-v0'"]),
        ("own/PointMass", ["object of another process", "env="]),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest_one(name, words):
    with pytest.raises(ConfigError) as error:
        make_env(EnvConfig(env=name))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("backend, words", [("sprng", "did you mean 'spring'"), ("mujoco", "generalized, positional")])
def test_a_backend_that_is_not_known_is_answered_with_those_that_are(backend, words):
    with pytest.raises(ConfigError, match=words):
        make_env(EnvConfig(backend=backend))


def test_a_robot_that_does_not_come_in_a_backend_says_which_one_it_comes_in():
    with pytest.raises(ConfigError, match="swimmer exists only for backend 'generalized', got 'spring'"):
        make_env(EnvConfig(env="brax/swimmer", backend="spring"))


def test_every_name_says_its_family_and_none_comes_twice():
    assert len(set(names())) == len(names())
    assert {name.partition("/")[0] for name in names()} == {
        *("brax", "classic", "envpool", "gym", "playground", "probe")
    }


def test_the_number_of_environments_can_be_another_for_evaluation():
    assert make_env(EnvConfig(env="probe/death", num_envs=4), num_envs=6).spec.num_envs == 6


def test_physics_is_named_where_it_is_a_choice():
    assert physics("brax/ant", "mjx") == "mjx"
    assert physics("gym/Ant-v5", "sync") == physics("a.module:ant", "spring") == physics("mine/point", "spring") == ""


class Playground:
    """The shape of MuJoCo Playground's environments, without physics."""

    action_size = 2

    class State(NamedTuple):
        """What such environments return."""

        obs: dict
        reward: jax.Array
        done: jax.Array

    def reset(self, rng):
        """Two views of the same number."""
        assert rng.dtype == jnp.uint32  # a key of the old kind, which splits and reshapes
        x = jax.random.uniform(rng, (3,))
        return self.State({"state": x[:2], "privileged_state": x}, jnp.zeros(()), jnp.zeros(()))

    def step(self, state, action):
        """The number moves."""
        x = state.obs["privileged_state"] + 0.1 * action.sum()
        return self.State({"state": x[:2], "privileged_state": x}, x[0], jnp.float32(x[0] > 2.0))


class Forgetful(Playground):
    """Its step tells what its reset did not."""

    def step(self, state, action):
        """Nothing moves."""
        return state._replace(obs={**state.obs, "new": state.reward})


def point() -> softrl.Simulator:
    """Moves by what it is given, between −3 and 3."""
    return softrl.Simulator(
        reset=lambda key, index: (jnp.zeros(1), jnp.zeros(1)),
        step=lambda sim, action: (sim + action, sim + action, action[0], jnp.bool_(False)),
        action=softrl.Continuous(1, low=(-3.0,), high=(3.0,)),
    )


OWN = {
    "own/PointMass": lambda: PointMass(),
    "own/Playground": lambda: Playground(),
    "own/lambda": point,
    "own/Arm": lambda: Arm(),
}


@pytest.mark.parametrize("name", OWN)
def test_an_object_of_ones_own_steps_and_is_never_found_by_its_name_alone(name):
    source = found(OWN[name]())
    assert (source.name, source.lasting, source.on_host) == (name, False, False)
    env = make_env(EnvConfig(num_envs=2, episode_length=3), source)
    assert env.spec.name == name
    if name == "own/Arm":
        return  # stepped where it is trained
    state = jax.jit(env.reset)(jax.random.key(0))
    for _ in range(3):
        state = jax.jit(env.step)(state, jnp.full((2, env.spec.action.size), 0.5))
    assert state.valid.all()
    assert state.episode.sum() >= 2


def test_actions_are_mapped_to_a_simulators_bounds():
    env = make_env(EnvConfig(num_envs=3, episode_length=9), point())
    after = env.step(env.reset(jax.random.key(0)), jnp.asarray([[-1.0], [0.5], [2.0]]))
    np.testing.assert_allclose(after.reward, [-3.0, 1.5, 3.0])


def test_playgrounds_two_observations_go_to_actor_and_critic():
    spec = make_env(EnvConfig(num_envs=2), Playground()).spec
    assert (spec.actor_obs, spec.critic_obs) == ("state", "privileged_state")
    assert spec.obs["privileged_state"].shape == (3,)


def test_gymnaxs_time_limit_is_not_death_and_becomes_ours():
    source = found((PointMass(), Params(max_steps_in_episode=4)))
    assert source.time_limit == 4
    assert softrl.preset((PointMass(), Params(max_steps_in_episode=4))).env.episode_length == 4
    env = make_env(EnvConfig(num_envs=2, episode_length=4), source, stagger=False)
    state, step = jax.jit(env.reset)(jax.random.key(0)), jax.jit(env.step)
    for _ in range(4):
        state = step(state, jnp.zeros((2, 2)))
    assert state.truncated.all()
    assert not state.terminated.any()
    lost = make_env(EnvConfig(num_envs=2, episode_length=4), (PointMass(), Params(reach=0.0)))
    assert jax.jit(lambda key: lost.step(lost.reset(key), jnp.zeros((2, 2))))(jax.random.key(0)).terminated.all()


def test_gymnaxs_noise_differs_between_environments_and_steps():
    env = make_env(EnvConfig(num_envs=2, episode_length=9), PointMass())
    first = env.step(env.reset(jax.random.key(0)), jnp.zeros((2, 2)))
    second = env.step(first, jnp.zeros((2, 2)))
    pushes = [np.asarray(first.obs[:, 2:]), np.asarray(second.obs[:, 2:] - 0.95 * first.obs[:, 2:])]
    assert len(np.unique(np.round(pushes, 7))) == 8


class Endless(PointMass):
    """Without a time limit to move."""

    class Params(NamedTuple):
        """No limit."""

        mass: float = 1.0
        reach: float = 5.0
        max_steps: int = 7

    default_params = Params()

    def step_env(self, key, state, action, params):
        """As the point mass, by a limit of another name."""
        return super().step_env(key, state, action, Params(params.mass, params.reach, params.max_steps))


class Telling(Endless):
    """Says what terminated."""

    def step_env(self, key, state, action, params):
        """With the one word that is missing."""
        *rest, _ = super().step_env(key, state, action, params)
        return *rest, {"terminated": jnp.bool_(False)}


class SelfResetting(PointMass):
    """Only the step that everybody calls."""

    step_env = property(lambda self: self.none)


class Torque(gymnasium.Env):
    """Bounds that say "any number"."""

    observation_space = Box(-1.0, 1.0, (2,))
    action_space = Box(-np.finfo(np.float32).max, np.finfo(np.float32).max, (1,))

    def reset(self, *, seed=None, options=None):
        """Nothing."""
        return np.zeros(2, np.float32), {}

    def step(self, action):
        """Nothing."""
        return np.zeros(2, np.float32), 0.0, False, False, {}


class NaNReward(Torque):
    """A first reward that is no number."""

    action_space = Box(-1.0, 1.0, (1,))

    def step(self, action):
        """Nothing."""
        return np.zeros(2, np.float32), float("nan"), False, False, {}


def blind():
    """Functions whose observation is empty."""
    step = lambda sim, action: (sim, jnp.zeros(0), jnp.float32(0.0), jnp.bool_(False))
    return {"reset": lambda key, index: (jnp.zeros(()), jnp.zeros(0)), "step": step}


class WordyReward(NaNReward):
    """A first reward in words."""

    def step(self, action):
        """Nothing."""
        return np.zeros(2, np.float32), "high", False, False, {}


class Actionless(gymnasium.Env):
    """A space is missing."""

    observation_space = Box(-1.0, 1.0, (2,))


SHARED = gymnasium.make("Pendulum-v1")


def shared() -> gymnasium.Env:
    """The same environment again and again."""
    return SHARED


def bad_reward() -> softrl.Simulator:
    """A reward with an axis."""
    return point()._replace(step=lambda sim, action: (sim, sim, action, jnp.bool_(False)))


def bad_state() -> softrl.Simulator:
    """A state that changes its kind."""
    return point()._replace(step=lambda sim, action: (sim > 0, sim, action[0], jnp.bool_(False)))


@pytest.mark.parametrize(
    "env, words",
    [
        (lambda: Endless(), "done may be death or a time limit.*max_steps_in_episode.*terminated"),
        (lambda: SelfResetting(), "step that resets by itself.*step_env"),
        (lambda: brax.envs.create("fast"), "AutoResetWrapper resets.*get_environment"),
        (lambda: Thermostat, "got experiments.environments.thermostat.Thermostat"),
        (Thermostat(), "Thermostat more than once.*function"),
        (lambda: gymnasium.make_vec("Pendulum-v1", 2), "2 environments at once"),
        (lambda: Torque(), "within ±1e.06"),
        (lambda: 3, "env must be a name, a softrl.Simulator.*got builtins.int"),
        (
            lambda: point()._replace(**blind()),
            r"each part of an observation must hold a number, got {'obs': 'float32\[0\]'}",
        ),
        (bad_reward, r"without axes; got float32\[1\]"),
        (bad_state, r"state is float32\[1\] after reset and bool\[1\] after step"),
        (Forgetful(), r"the state\[0\].obs\['new'\] is missing after reset and float32\[\] after step"),
        (lambda: point()._replace(action=softrl.Continuous(2, (0.0,), (1.0,))), "as many finite low and high"),
        (lambda: point()._replace(action=softrl.Continuous(1, -1.0, 1.0)), "as many finite low and high"),
        (lambda: point()._replace(action=2), r"softrl.Continuous\(size, low, high\) or softrl.Discrete\(n\), got 2"),
        (lambda: point()._replace(reset=lambda key: 0), r"called as reset\(key, index\), but too many"),
        (
            lambda: point()._replace(step=lambda sim, action: (sim, sim)),
            r"\(sim, obs, reward, terminated\), got 2 values",
        ),
        (shared, "shared gives the same PendulumEnv at every call.*make a new one"),
        (lambda: NaNReward(), "reward of a step must be one finite number, got nan"),
        (lambda: WordyReward(), "reward of a step must be one finite number, got 'high'"),
        (lambda: Actionless(), "Actionless without action_space, made by"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line_that_says_what_to_give(env, words):
    with pytest.raises(ConfigError, match=words) as error:
        make_env(EnvConfig(num_envs=2, backend="sync"), env)
    assert "\n" not in str(error.value)


def test_an_environment_that_says_what_terminated_needs_no_limit_to_move():
    env = make_env(EnvConfig(num_envs=2, episode_length=9), Telling(), stagger=False)
    state = env.reset(jax.random.key(0))
    for _ in range(8):
        state = env.step(state, jnp.zeros((2, 2)))
    assert not state.terminated.any() and not state.truncated.any()


def test_a_function_in_a_module_is_known_by_its_name_and_a_lambda_is_not():
    name = "experiments.environments.point_mass:make_env"
    for env in (name, make_point):
        source = found(env, {"mass": 2.0})
        assert (source.name, source.of, source.lasting, source.time_limit) == (name, name, True, 100)
    source = found(lambda: make_point())
    assert (source.name, source.lasting) == ("own/PointMass", False)
    assert source.of == "experiments.environments.point_mass.PointMass"
    assert found("experiments.environments.reaching_arm:Arm").name.endswith(":Arm")


def test_a_function_may_return_a_name():
    assert found(lambda: "Pendulum-v1").name == "gym/Pendulum-v1"
    assert softrl.preset("Pendulum-v1").env == softrl.preset("gym/Pendulum-v1").env


def test_arguments_reach_what_makes_the_environment_and_others_are_refused(monkeypatch):
    heavy = softrl.preset("experiments.environments.point_mass:make_env", env_kwargs={"mass": 2.0}).env
    assert heavy.env_kwargs == '{"mass": 2.0}'
    assert heavy == softrl.preset("experiments.environments.point_mass:make_env", env_kwargs='{ "mass":2.0}').env
    assert hash(heavy) is not None
    steps = []
    for config in (heavy, EnvConfig(env=heavy.env)):
        env = make_env(config, num_envs=2)
        steps.append(env.step(env.reset(jax.random.key(0)), jnp.ones((2, 2))).obs[:, 2:])
    np.testing.assert_allclose(2 * steps[0], steps[1], rtol=1e-5)
    pendulum = EnvConfig(env="gym/Pendulum-v1", backend="sync", num_envs=1, env_kwargs={"g": 0.0})
    env = make_env(pendulum)
    env.reset(0)
    assert env.step is not None
    for config in (
        {"env": "gym/Pendulum-v1", "backend": "sync", "env_kwargs": {"gravity": 5.0}},
        {"env": "brax/ant", "env_kwargs": {"no_such": 1}},
        {"env": "probe/bounded-lq", "env_kwargs": {"begin": 1.0}},
        {"env": "experiments.environments.point_mass:make_env", "env_kwargs": {"weight": 1.0}},
    ):
        if config["env"] == "brax/ant":
            continue  # Brax's robots take any argument, and pass it on
        with pytest.raises(ConfigError, match="cannot be made with"):
            make_env(EnvConfig(**config))
    with pytest.raises(ConfigError, match="is one already"):
        make_env(EnvConfig(env_kwargs={"mass": 1.0}), PointMass())
    handing_on = lambda **more: gymnasium.make("Pendulum-v1", **more)
    with pytest.raises(ConfigError, match=r"cannot be made with the arguments \{'gravity': 5.0\}: .*'gravity'"):
        make_env(EnvConfig(env_kwargs={"gravity": 5.0}), handing_on)
    for wrong in ("[1]", "{", {"f": print}, {"x": float("nan")}, 3):
        with pytest.raises(ConfigError, match="arguments by name"):
            EnvConfig(env_kwargs=wrong)


def test_a_name_of_ones_own_works_in_this_process(monkeypatch):
    monkeypatch.setattr(families, "_REGISTERED", {})
    softrl.register("mine/point", make_point)
    assert softrl.preset("mine/point").env.env == "mine/point"
    assert "mine/point" in names()
    assert not found("mine/point").lasting
    assert make_env(EnvConfig(env="mine/point", env_kwargs={"mass": 3.0})).spec.name == "mine/point"
    for wrong in ("brax/ant", "brax/mine", "own/point", "point", "mine/", "mine:point", "mine/point:x"):
        with pytest.raises(ConfigError, match="a name of your own"):
            softrl.register(wrong, make_point)


def test_what_braxs_and_gymnasiums_registries_know_works_too(monkeypatch):
    monkeypatch.setattr(brax.envs, "_envs", dict(brax.envs._envs))
    brax.envs.register_environment("arm", Arm)
    source = found("brax/arm", {"push": 0.1})
    assert (source.of, source.lasting) == ("experiments.environments.reaching_arm.Arm", False)
    assert make_env(EnvConfig(env="brax/arm", backend="spring", num_envs=2)).spec.obs.shape == (3,)
    brax.envs.register_environment("fast", Arm)
    assert not found("brax/fast").lasting  # no longer the one that another process finds under this name
    gymnasium.register("softrl-test/Thermostat-v0", entry_point=Thermostat, max_episode_steps=24)
    try:
        source = found("gym/softrl-test/Thermostat-v0", {"target": 3.0})
        assert (source.time_limit, source.lasting) == (24, False)
        assert isinstance(make_env(EnvConfig(env=source.name, backend="sync", num_envs=1)), HostEnv)
    finally:
        del gymnasium.registry["softrl-test/Thermostat-v0"]


def test_a_package_of_the_current_directory_registers_its_own(tmp_path, monkeypatch):
    (tmp_path / "softrl_test_rooms.py").write_text(
        "import gymnasium\n"
        "from experiments.environments.thermostat import Thermostat\n"
        "gymnasium.register('Warm-v0', entry_point='softrl_test_rooms:Thermostat', max_episode_steps=12)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = found("gym/softrl_test_rooms:Warm-v0")
    assert (source.time_limit, source.lasting, source.of) == (12, True, "softrl_test_rooms:Thermostat")
    del gymnasium.registry["Warm-v0"], sys.modules["softrl_test_rooms"]


def test_only_a_stock_robot_as_it_ships_is_known_by_its_name():
    stock = found(make_brax("inverted_pendulum", "generalized"))
    assert (stock.name, stock.lasting, stock.backend) == ("brax/inverted_pendulum", True, "generalized")
    changed = make_brax("inverted_pendulum", "generalized")
    changed.sys = changed.sys.replace(gravity=2 * changed.sys.gravity)
    assert (found(changed).name, found(changed).lasting) == ("own/InvertedPendulum", False)
    kind = type("InvertedPendulum", (type(changed),), {"__module__": __name__})  # of one's own, under a stock name
    assert found(kind()).of == f"{__name__}.InvertedPendulum"


def test_the_config_that_comes_from_an_object_says_so():
    config = tiny.config(env="own/PointMass")
    with pytest.raises(ConfigError, match="give it as env="):
        softrl.train(config)
