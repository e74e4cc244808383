"""A run that learns a reward: trained, resumed, exported and trained upon; what it refuses, in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.agents.airl import AIRLConfig, AIRLHypers, build
from softrl.agents.airl.agent import parts_of
from softrl.agents.airl.algorithm import replay
from softrl.agents.airl.reward import reward
from softrl.agents.airl.update import learned_reward
from softrl.clock import Counter
from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import MARGIN, TanhGaussian
from softrl.errors import ConfigError
from softrl.experience import demonstrations
from softrl.numpy_policy import NumpyPolicy
from softrl.types import Batch, Continuous, Discrete, EnvSpec, Hypers, Spec, Transition, Window
from tests import tiny
from tests.oracles import expert_chain as chain

ROWS = 40
BARE = Spec(jax.ShapeDtypeStruct((1,), jnp.float32), Continuous(1))


def d4rl(count: int = ROWS, **changes) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    obs, after = rng.normal(size=(2, count, 1)).astype(np.float32)
    flags = {"terminals": rng.random(count) < 0.2, "timeouts": np.zeros(count, bool)}
    actions = np.tanh(rng.normal(size=(count, 1))).astype(np.float32)
    return {"observations": obs, "actions": actions, "next_observations": after, **flags} | changes


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shown.npz"
    np.savez(path, **d4rl())
    return str(path)


def config(file: str, **changes):
    return tiny.config("airl", **{"demonstrations": file, "reward_widths": "8", "steps": 256, **changes})


@pytest.mark.slow
def test_a_run_learns_resumes_to_the_same_bits_and_its_reward_leaves_and_pays(file, tmp_path):
    whole = softrl.train(config(file, reward_inputs="state-action"), out=tmp_path / "whole", progress=False)
    softrl.train(config(file, reward_inputs="state-action", steps=128), out=tmp_path / "parts", progress=False)
    parts = softrl.train(config(file, reward_inputs="state-action"), out=tmp_path / "parts", progress=False)
    assert tiny.same_bits(whole.state, parts.state)
    line = whole.metrics[-1]["train"]
    assert line["finite"] == [1.0] and 0.0 < line["discriminator_loss"][0] < 10.0
    assert whole.export(tmp_path / "g.onnx", "onnx", "reward").difference < 1e-5
    path = whole.export(tmp_path / "g.safetensors", "safetensors", "reward").path
    assert whole.export(tmp_path / "policy.safetensors", "safetensors").difference < 1e-5
    numpy = NumpyPolicy.load(path)
    made = softrl.make_env(softrl.EnvConfig(num_envs=4), softrl.rewarded("probe/bounded-lq", path))
    state, action = made.reset(jax.random.key(0)), jnp.linspace(-0.9, 0.9, 4)[:, None]
    paid = made.step(state, action).reward
    expected = numpy({"obs": np.asarray(state.obs), "action": np.asarray(action)})
    np.testing.assert_allclose(paid, expected, rtol=1e-4, atol=1e-5)  # two libraries' float32
    assert np.ptp(expected) > 1e-3
    with pytest.raises(ConfigError, match="unknown network of airl 'rewards'; did you mean 'reward'"):
        whole.export(tmp_path / "x", "onnx", "rewards")
    with pytest.raises(ConfigError, match="holds a policy and no reward"):
        softrl.rewarded("probe/bounded-lq", tmp_path / "policy.safetensors")
    with pytest.raises(ConfigError, match="wants obs of shape"):
        softrl.make_env(softrl.EnvConfig(num_envs=4), softrl.rewarded("brax/reacher", path))


@pytest.mark.slow
def test_a_reward_from_twenty_demonstrations_teaches_a_fresh_policy_to_balance(tmp_path):
    robot, shown = "brax/inverted_pendulum", str(tmp_path / "expert.npz")
    softrl.load(f"zoo/{robot}").demonstrate(shown, episodes=20)
    imitator = softrl.preset(robot, algorithm="airl", demonstrations=shown)
    imitator = softrl.train(imitator, out=tmp_path / "imitator", progress=False)
    path = imitator.export(tmp_path / "reward.safetensors", "safetensors", "reward").path
    paid = softrl.rewarded(robot, path)
    fresh = softrl.train(softrl.preset(robot), env=paid, evaluation_env=robot, out=tmp_path / "fresh", progress=False)
    assert fresh.metrics[-1]["eval"]["return_mean"][0] >= 900.0


def test_potentials_cancel_in_between_and_an_end_pays_for_ever_as_the_exported_reward_has_it():
    """The reward of a window is that of its single steps, discounted, and of all that comes after where it ends."""
    spec = EnvSpec("numbers", jax.ShapeDtypeStruct((2,), jnp.float32), Continuous(1), 4, 100)
    parts = parts_of(AIRLConfig(width=4, reward_widths="8", normalize_obs=False, reward_inputs="state-action"), spec)
    numbers = jax.tree.map(jnp.float32, AIRLHypers())
    agent = build(parts.nets.config, spec)
    state = agent.init(jax.random.key(0), numbers)
    end = jnp.float32([-0.7, 0.4])  # g and h of it
    state = state._replace(reward=state.reward._replace(params=state.reward.params._replace(end=end)))
    rng = np.random.default_rng(0)
    path, action = (jnp.float32(rng.normal(size=(4, 4, size))) for size in (2, 1))
    gamma, nothing = 0.9, jnp.zeros(4)
    last = jnp.float32([gamma**3, gamma**3, 0.0, gamma**2])  # the third row terminates at step 3, the fourth has 2
    discount = jnp.float32([[1.0, gamma, gamma**2]] * 3 + [[1.0, gamma, 0.0]])
    after = path[jnp.arange(4), jnp.array([3, 3, 3, 2])]
    window = Window(path[:, :3], action[:, :3], discount)
    rows = Batch(path[:, 0], action[:, 0], nothing, last, after, jnp.ones(4), jnp.arange(4), window)
    g = lambda i: reward(parts.nets, state.reward.params.reward, path[:, i], action[:, i])
    h = lambda x: parts.nets.potential.apply(state.reward.params.potential, (), x)[0]
    single = sum(discount[:, i] * (g(i) - h(path[:, i])) for i in range(3))
    # γⁱ⁺¹ h(s′) of every step; of the last one the end's where the episode does not go on
    shaped = gamma * discount[:, 0] * h(path[:, 1]) + gamma * discount[:, 1] * h(path[:, 2])
    shaped += jnp.float32([gamma**3, gamma**3, 0.0, 0.0]) * h(path[:, 3])
    for_ever = gamma**3 * (end[1] + (end[0] + gamma * end[1] - end[1]) / (1.0 - gamma))
    shaped += jnp.float32([0.0, 0.0, for_ever, 0.0])
    found = learned_reward(parts, state, rows, jnp.float32(gamma))
    np.testing.assert_allclose(found, single + shaped, rtol=1e-4, atol=1e-5)
    # Of the row that ended: what an environment pays that pays nothing after the end, up to what does not depend on it.
    paid = lambda i: reward(parts.nets, agent.policy(state).reward, path[:, i], action[:, i])
    returned = sum(discount[2, i] * paid(i)[2] for i in range(3))
    np.testing.assert_allclose(found[2], returned + end[0] / (1.0 - gamma) - h(path[:, 0])[2], rtol=1e-4)


def test_samples_hold_the_newest_experience_and_every_demonstration_whatever_the_agent_did(file):
    spec = EnvSpec("numbers", BARE.obs, BARE.action, 2, 10)
    made = replay(AIRLConfig(demonstrations=file), spec, capacity=400, batch_size=64, n_step=2, shards=1)
    state, add = made.init(), jax.jit(made.add)
    for t in range(100):
        x = jnp.full((2, 1), float(t))
        no = jnp.zeros(2, bool)
        state = add(state, Counter.of(t), Transition(x, x, x[:, 0], no, no, x + 1.0, ~no))
    hypers = Hypers(AIRLHypers(gamma=jnp.float32(0.9), compared_transitions=jnp.float32(20.0)), softrl.ReplayHypers())
    sample = jax.jit(made.sample)(state, Counter.of(100), jax.random.key(0), hypers)
    assert np.asarray(sample.recent.obs).min() >= 88.0 and np.asarray(sample.batch.obs).min() < 50.0
    np.testing.assert_array_equal(sample.recent.next_obs, sample.recent.obs + 1.0)  # of one step
    np.testing.assert_array_equal(sample.batch.next_obs, sample.batch.obs + 2.0)
    shown = d4rl()
    assert set(np.asarray(sample.shown.obs)[:, 0]) <= set(shown["observations"][:, 0])
    ends = dict(zip(shown["observations"][:, 0], shown["terminals"], strict=True))
    expected = [0.0 if ends[x] else 0.9 for x in np.asarray(sample.shown.obs)[:, 0]]
    np.testing.assert_allclose(sample.shown.discount, expected, rtol=1e-6)


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "file.npz", **arrays)
    return tmp_path / "file.npz"


def test_files_of_minari_and_d4rl_are_the_same_rows_and_rewards_are_not_read(tmp_path):
    rng = np.random.default_rng(1)
    obs, actions = rng.normal(size=(2, 6, 1)), rng.uniform(-1, 1, (2, 5, 1))
    over = np.zeros((2, 5), bool)
    minari = {"observations": obs, "actions": actions, "terminations": over, "rewards": np.full((2, 5), np.nan)}
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    theirs = {"observations": flat(obs[:, :-1]), "actions": flat(actions), "next_observations": flat(obs[:, 1:])}
    one = demonstrations.read(saved(tmp_path, **minari), BARE)
    other = demonstrations.read(saved(tmp_path, **theirs, terminals=flat(over)), BARE)
    assert tiny.same_bits(one, other) and one.obs.shape == (10, 1)
    alone = {name: x[0] for name, x in minari.items()}
    assert len(demonstrations.read(saved(tmp_path, **alone), BARE).reward) == 5


def test_actions_of_a_file_are_within_the_robots_own_bounds(tmp_path):
    bounded = BARE._replace(action=Continuous(1, (0.0,), (4.0,)))
    actions = np.linspace(0.0, 4.0, ROWS)[:, None]
    rows = demonstrations.read(saved(tmp_path, **d4rl(actions=actions)), bounded)
    np.testing.assert_allclose(rows.action, actions / 2.0 - 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"actions": np.full((ROWS, 1), 1.5)}, r"actions: expected numbers in \[−1, 1\].*got 1.5"),
        ({"actions": np.zeros((ROWS, 2))}, r"actions: expected float32 of shape \(B, 1\), got shape \(40, 2\)"),
        ({"observations": np.zeros((ROWS - 1, 1))}, "rows"),
        ({"observations": np.full((ROWS, 1), np.nan)}, "observations: expected finite"),
        ({"reward_to_go": np.zeros(ROWS)}, "reward_to_go: expected only the keys observations, actions"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_its_own_words(tmp_path, changes, says):
    with pytest.raises(ConfigError, match=says):
        demonstrations.read(saved(tmp_path, **d4rl(**changes)), BARE)


def test_what_is_no_file_of_demonstrations_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        demonstrations.read(tmp_path / "nothing.npz", BARE)
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ConfigError, match="cannot be read"):
        demonstrations.read(tmp_path / "text.npz", BARE)
    with pytest.raises(ConfigError, match="got states, acts"):
        demonstrations.read(saved(tmp_path, states=np.zeros(3), acts=np.zeros(3)), BARE)
    with pytest.raises(ConfigError, match="give demonstrations, the path"):
        tiny.trained(config(""), 1)
    with pytest.raises(ConfigError, match="needs demonstrations beside its replay, which a learner"):
        softrl.Learner(softrl.LearnerConfig("airl"), jax.ShapeDtypeStruct((1,), "float32"), Discrete(3))
    with pytest.raises(ConfigError, match="airl knows no action prior"):
        build(AIRLConfig(), BARE, log_prior=lambda obs, action: action[:, 0])


def density(actions: np.ndarray, mean: float, log_std: float) -> np.ndarray:
    rows = TanhGaussian(*(jnp.full((len(actions), 1), x, jnp.float32) for x in (mean, log_std)))
    return np.exp(np.asarray(tanh_gaussian.log_prob_of_action(rows, jnp.float32(actions)[:, None]), np.float64))


def test_probabilities_of_given_actions_are_those_of_the_draws_and_sum_to_one():
    dist = TanhGaussian(jnp.float32([0.3, 4.0]), jnp.float32([-0.5, -1.0]))
    pre_tanh = jnp.float32([[0.1, -1.2], [3.0, 3.5]])
    both = TanhGaussian(*(jnp.broadcast_to(x[None], (2, 2)) for x in dist))
    found = tanh_gaussian.log_prob_of_action(both, jnp.tanh(pre_tanh))
    # Relative: float32 has rounded 1 − tanh² of 3.5, 0.0036, to some 1e-5 of it.
    np.testing.assert_allclose(found, tanh_gaussian.log_prob(both, pre_tanh), rtol=1e-4)
    # With both ends, where the mean density stands for all of it, the whole adds up: 2 at −1 and at 1, and in between.
    edges = np.linspace(-1.0 + MARGIN, 1.0 - MARGIN, 400_001)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for mean, log_std in ((0.3, -0.5), (4.0, -1.0), (-9.0, 0.0)):
        inside, ends = (density(x, mean, log_std).sum() for x in (middle, np.float64([-1.0, 1.0])))
        total = inside * (edges[1] - edges[0]) + MARGIN * ends
        np.testing.assert_allclose(total, 1.0, rtol=1e-3)


@pytest.mark.slow
def test_robots_on_the_host_learn_from_demonstrations_in_their_own_bounds(tmp_path):
    pytest.importorskip("gymnasium")
    rng = np.random.default_rng(0)
    obs, after = rng.normal(size=(2, ROWS, 3))
    path = saved(tmp_path, **d4rl(observations=obs, next_observations=after, actions=rng.uniform(-2, 2, (ROWS, 1))))
    sizes = {"num_envs": 2, "train_freq": 4, "chunk_steps": 64, "eval_every": 256, "episode_length": 20}
    run = softrl.train(config(str(path), env="gym/Pendulum-v1", backend="sync", **sizes), out=tmp_path / "run")
    assert run.metrics[-1]["train"]["finite"] == [1.0]
    assert np.abs(np.asarray(run.state.learner.replay.shown.action)).max() <= 1.0
    # Pendulum cannot be put back where it was: going on begins new episodes, and the newest row has no successor.
    before = np.asarray(run.state.learner.replay.online.valid)[0].sum()
    more = run.resume(steps=384, progress=False)
    assert more.metrics[-1]["train"]["finite"] == [1.0]
    assert np.asarray(more.state.learner.replay.online.valid)[0].sum() == before + 128 - 2


@pytest.mark.slow
def test_the_whole_agent_finds_expert_and_reward_on_the_chain(tmp_path):
    np.savez(tmp_path / "chain.npz", **chain.demonstrations(episodes=1_000))
    sizes = {"num_envs": 16, "batch_size": 256, "replay_size": 32_768, "updates_per_step": 1, "chunk_steps": 500}
    small = {"width": 32, "normalize_obs": False, "reward_widths": "32", "activation": "tanh", "gamma": chain.GAMMA}
    rates = {"policy_lr": 2e-3, "critic_lr": 3e-3, "reward_lr": 3e-4}
    more = {"gradient_penalty": 0.0, "tau": 0.05, "critic_reduction": "mean", "compared_transitions": 512.0}
    more |= {"learning_starts": 1_000, "episode_length": 100}
    made = config(str(tmp_path / "chain.npz"), **sizes, **small, **rates, **more)
    # At first the discriminator must see the newest policy alone, or all swings. The slower that changes, the more rows
    # may be compared, and the less their draws matter.
    stages = {18: (0.3, 2_048.0), 38: (0.1, 8_192.0), 68: (0.03, 16_384.0)}
    schedule = {
        chunk: {"compared_transitions": rows, **{name: share * rate for name, rate in rates.items()}}
        for chunk, (share, rows) in stages.items()
    }
    trial = tiny.trained(made, 108, schedule=schedule, quick=False, env=chain.simulator())
    agent = tiny.member(trial.run.learner.agent, 0)
    parts, states = parts_of(made.agent, trial.assembled.program.env.spec), jnp.eye(chain.STATES)
    g = reward(parts.nets, agent.reward.params.reward, states, jnp.zeros(chain.STATES, jnp.int32))
    inner = agent.actor_critic.policy
    logits = parts.kind.policy.network.apply(inner.params, inner.batch_stats, states, train=False)[0].logits
    policy, weights = np.asarray(jax.nn.softmax(logits)), np.asarray(g - g[0])[1:]
    print(np.round(policy - np.exp(chain.EXPERT), 4).tolist(), np.round(weights - chain.WEIGHTS, 4).tolist())
    # What draws leave: with other numbers of rows and seeds up to 0.01 and 0.1. Without any, tests/agents/test_airl.py.
    np.testing.assert_allclose(policy, np.exp(chain.EXPERT), atol=0.02)
    np.testing.assert_allclose(weights, chain.WEIGHTS, atol=0.12)
