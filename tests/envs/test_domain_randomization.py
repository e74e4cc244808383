"""Physics drawn anew for every episode: by address, for training only, the same for all of an episode."""

import json
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.envs import EnvConfig, make_env
from softrl.envs.domain_randomization import OWN, OfMany
from softrl.errors import ConfigError
from softrl.sweep.plan import plan
from softrl.sweep.spec import load
from softrl.training.assemble import assemble, member_hypers, member_keys
from softrl.training.identity import agree, write
from softrl.training.members import init_members
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

SHIPPED = 1.0
COUNT, LENGTH = 3, 4


class State(NamedTuple):
    """Of Brax's and Playground's kind."""

    obs: jax.Array
    reward: jax.Array
    done: jax.Array


class Treadmill:
    """Of Playground's kind. It observes the speed that its reset saw, the one that its last step saw, the nominal mass,
    and what its reset drew; a step pays the speed."""

    action_size = 1

    def __init__(self):
        self._mjx_model = {"belt": {"speed": jnp.float32(SHIPPED)}, "mass": jnp.full(2, 7.0), "terrain": jnp.zeros(999)}

    def reset(self, key):
        """Draws from a split of its key, as most do."""
        speed, drawn = self._mjx_model["belt"]["speed"], jax.random.uniform(jax.random.split(key)[1])
        return State(jnp.stack([speed, speed, self._mjx_model["mass"][0], drawn]), jnp.float32(0.0), jnp.float32(0.0))

    def step(self, state, action):
        """Pays; never falls."""
        speed = self._mjx_model["belt"]["speed"]
        return State(state.obs.at[1].set(speed), speed, jnp.float32(0.0))

    def domain_randomize(self, model, keys):
        """Speeds of 2 to 3; from a split of its key, as Playground's."""
        speed = jax.vmap(lambda key: jax.random.uniform(jax.random.split(key)[1], minval=2.0, maxval=3.0))(keys)
        axes = {"belt": {"speed": 0}, "mass": None, "terrain": None}
        return {**model, "belt": {"speed": speed}}, axes


def faster(key, model):
    """Speeds of 4 to 5, of one environment."""
    return {**model, "belt": {"speed": jax.random.uniform(key, minval=4.0, maxval=5.0)}}


DOMAIN = Treadmill().domain_randomize


def make_treadmill():
    """As any process finds it."""
    return Treadmill()


TREADMILL = f"{__name__}:make_treadmill"


def walked(interval: int = 0, steps: int = 3 * LENGTH, randomize=OWN) -> list:
    """States along some steps, first states refreshed as training does it."""
    config = EnvConfig(num_envs=COUNT, episode_length=LENGTH, reset_interval=interval)
    env = make_env(config, Treadmill(), randomize=randomize, stagger=False)
    reset, step, refresh = map(jax.jit, (env.reset, env.step, env.refresh))
    states = [reset(jax.random.key(0))]
    for t in range(steps):
        now = states[-1]
        if interval and t % interval == 0:
            now = now._replace(bank=refresh(now))
        states.append(step(now, jnp.zeros((COUNT, 1))))
    return states


@pytest.mark.parametrize("interval", [0, LENGTH])
def test_one_model_serves_an_episode_from_its_reset_to_its_last_observation(interval):
    states = walked(interval)
    speeds = [np.asarray(states[0].obs[:, 0])]
    for before, now in pairwise(states):
        # Of the step: the reset's speed, the step's and its pay are one number, also where the episode ends.
        np.testing.assert_array_equal(now.final_obs[:, 0], now.final_obs[:, 1])
        np.testing.assert_array_equal(now.final_obs[:, 0], before.obs[:, 0])
        np.testing.assert_array_equal(now.final_obs[:, 0], now.reward)
        changed = np.asarray(now.obs[:, 0] != before.obs[:, 0])
        np.testing.assert_array_equal(changed, now.truncated)
        if changed.any():
            speeds.append(np.asarray(now.obs[:, 0]))
    speeds = np.stack(speeds)
    assert speeds.shape == (4, COUNT)
    assert len(np.unique(speeds)) == speeds.size, "every environment and episode has its own"
    assert ((speeds >= 2.0) & (speeds <= 3.0)).all()


def test_a_bank_of_first_states_draws_the_models_that_resets_on_the_spot_would():
    for kept, made in zip(walked(2), walked(0), strict=True):
        assert tiny.same_bits(kept._replace(bank=()), made)


def test_the_state_keeps_what_is_drawn_and_nothing_else_of_the_model():
    state = walked(steps=0)[0]
    assert jax.tree.map(jnp.shape, state.sim[1]) == {"belt/speed": (COUNT,)}
    np.testing.assert_array_equal(state.obs[:, 2], 7.0)


def test_physics_are_not_drawn_by_the_number_that_a_reset_draws():
    obs = walked(steps=0)[0].obs
    assert (np.abs(obs[:, 0] - 2.0 - obs[:, 3]) > 1e-3).all()


def test_models_of_many_may_be_drawn_along_any_axis_and_one_of_a_single_environment_without():
    two = OfMany(
        lambda model, keys: ({**model, "mass": jnp.array([[9.0], [8.0]])}, {**dict.fromkeys(model), "mass": 1})
    )
    state = walked(steps=1, randomize=two)[1]
    np.testing.assert_array_equal(state.obs[:, 1:3], [[SHIPPED, 9.0]] * COUNT)
    state = walked(steps=1, randomize=faster)[1]
    assert ((state.reward >= 4.0) & (state.reward <= 5.0)).all()


def test_a_randomiser_that_writes_into_its_model_changes_no_other_episodes():
    env = Treadmill()

    def writes(key, model):
        model["belt"]["speed"] = jax.random.uniform(key)
        return model

    made = make_env(EnvConfig(num_envs=COUNT, episode_length=LENGTH), env, randomize=writes)
    assert set(jax.eval_shape(made.reset, jax.random.key(0)).sim[1]) == {"belt/speed"}
    assert env._mjx_model["belt"]["speed"] == SHIPPED


def test_the_environment_has_its_own_model_again_when_all_is_traced():
    env = Treadmill()
    made = make_env(EnvConfig(num_envs=COUNT, episode_length=LENGTH), env, randomize=OWN)
    state = jax.eval_shape(made.reset, jax.random.key(0))
    jax.eval_shape(made.step, state, jax.ShapeDtypeStruct((COUNT, 1), jnp.float32))
    assert env._mjx_model["belt"]["speed"] == SHIPPED


def test_a_randomiser_of_another_form_is_told_which_there_are():
    for randomize, words in (
        (OfMany(lambda model, keys: model), r"\(model, keys\) -> \(models, in_axes\).*randomize="),
        (lambda key, model: {"mass": model["mass"]}, "the model that it is given with other numbers"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            walked(steps=0, randomize=randomize)
        assert "\n" not in str(error.value)


def config(**changes) -> softrl.Config:
    """A tiny run on a treadmill."""
    sizes = {"num_envs": 4, "episode_length": 8, "learning_starts": 32, "width": 8, "domain_randomization": True}
    return tiny.config(**{**sizes, "steps": 128, "eval_every": 64, "chunk_steps": 8, "env": "own/Treadmill", **changes})


def begun(its: softrl.Config) -> np.ndarray:
    """Speeds `[M, N]` of the first episodes."""
    made = assemble(its, env=Treadmill())
    start = jax.jit(partial(init_members, made.program))
    return np.asarray(start(member_keys(its), member_hypers(made)).env.sim[1]["belt/speed"])


def test_members_and_environments_have_models_of_their_own():
    speeds, alone = (begun(config(**seeds)) for seeds in ({"seeds": 2}, {"seed": 1}))
    assert len(np.unique(speeds)) == 2 * 4
    np.testing.assert_array_equal(alone[0], speeds[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in an environment that any process finds."""
    return softrl.train(config(env=TREADMILL), progress=False, out=tmp_path_factory.mktemp("whole"))


def test_evaluation_sees_the_model_as_shipped(whole):
    last = whole.metrics[-1]
    assert last["eval"]["return_mean"] == [8 * SHIPPED]
    assert last["eval"]["stochastic_return_mean"] == [8 * SHIPPED]
    assert 8 * 2.0 < last["train"]["return_mean"][0] < 8 * 3.0
    np.testing.assert_array_equal(whole.evaluate(episodes=2).deterministic_return, 8 * SHIPPED)


def test_a_resumed_run_draws_what_it_would_have_drawn(whole, tmp_path):
    softrl.train(config(env=TREADMILL, steps=64), progress=False, out=tmp_path)
    resumed = softrl.load(tmp_path).resume(steps=128, progress=False)
    assert resumed.metrics[-1]["state_sha256"] == whole.metrics[-1]["state_sha256"]
    assert json.loads((tmp_path / "config.json").read_text())["config"]["env"]["domain_randomization"] is True


def test_a_run_does_not_go_on_in_other_physics(tmp_path):
    plain = config(domain_randomization=False)
    write(tmp_path, assemble(plain, env=Treadmill(), randomize=faster))
    for other, words in (
        (None, r"another randomize \('.*faster' there, None now\)"),
        (OfMany(DOMAIN), r"another randomize \('.*faster' there, '.*domain_randomize' now\)"),
    ):
        with pytest.raises(ConfigError, match=words):
            agree(tmp_path, assemble(plain, env=Treadmill(), randomize=other))


def test_a_randomiser_and_the_one_that_comes_with_the_robot_are_one_too_many():
    with pytest.raises(ConfigError, match=r"domain_randomization.*or randomize.*got both"):
        softrl.train(config(), env=Treadmill(), randomize=faster, progress=False)


def test_randomisation_is_an_axis_of_a_sweep():
    base = {**tiny.SIZES, "env": TREADMILL}
    made = plan(load({"base": base, "axes": {"domain_randomization": [False, True]}, "seeds": 2}))
    assert [one.group.config.env.domain_randomization for one in made.groups] == [False, True]
    plain, drawn = (one.member_bytes for one in made.groups)
    # 8 environments, a speed each.
    assert drawn - plain == 8 * 4


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("playground/CartpoleBalance", "these do: .*Go1JoystickFlatTerrain"),
        ("brax/fast", r"method domain_randomize\(model, keys"),
        ("probe/bounded-lq", "for environments of Brax's and MuJoCo Playground's kind"),
        ("classic/pendulum", "for environments of Brax's and MuJoCo Playground's kind"),
        ("gym/Pendulum-v1", "for environments of Brax's and MuJoCo Playground's kind"),
    ],
)
def test_who_has_no_randomiser_refuses_in_a_line_that_says_who_has(env, words):
    with pytest.raises(ConfigError, match=words) as error:
        softrl.train(softrl.preset(env, domain_randomization=True), progress=False)
    assert "\n" not in str(error.value)
