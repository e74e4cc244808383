"""A run whose environments are on the host: the same session, checkpoints and metrics, another `chunk`.

The device learns while the host acts and steps. With `overlap` the policy that acts is always exactly one vector step
older than the newest, and the newest itself at the first step of a chunk; without, the host waits for every update.
Both are functions of the seed alone: nothing depends on who was faster.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents.sac import act_on_host
from softrl.clock import Clock
from softrl.envs.host import HostEnv, HostStep
from softrl.errors import ConfigError
from softrl.training import health
from softrl.training.assemble import Assembled
from softrl.training.chunk import ChunkInfo
from softrl.training.collect import CollectInfo
from softrl.training.evaluate import Evaluation
from softrl.training.learn import LearnInfo, learn
from softrl.training.state import LearnerState, Program, Rollout, RunState, init_learner
from softrl.types import EnvState, PyTree, Transition

EVALUATION_SEED = 1_000_003
"""Of the evaluation's episodes, the same for every run."""

_EXPLORE, _EVALUATE = 0, 1  # what a draw on the host is for, the last word of its address


@dataclass
class Hosted:
    """The host's part of a run; what is mutable about it.

    at: the vector step at which the environments stand; None where they must be brought to the run's. info: the
    agent's info type, filled with what to put in its place.
    """

    assembled: Assembled
    store: Callable[..., Any]
    improve: Callable[..., Any]
    info: PyTree
    act: Callable[..., np.ndarray]
    at: int | None = None
    obs: PyTree = field(default=None)


def require_possible(assembled: Assembled) -> None:
    """Refuses what host environments cannot do.

    Raises: ConfigError.
    """
    training = assembled.config.training
    if training.seeds != 1:
        raise ConfigError(
            f"{assembled.config.env.env} runs on the host, one member a process: set seeds 1, got {training.seeds}"
        )
    if training.data_shards != 1:
        raise ConfigError(f"{assembled.config.env.env} runs on the host: set data_shards 1, got {training.data_shards}")


def abstract_state(assembled: Assembled) -> RunState:
    """Shapes and types of the run."""
    require_possible(assembled)
    env = assembled.program.env
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    hypers = jax.tree.map(lambda _: jax.ShapeDtypeStruct((1,), jnp.float32), assembled.hypers)
    learner = jax.eval_shape(partial(_init, assembled.program), key, hypers)
    zeros = jax.tree.map(lambda s: np.zeros((env.spec.num_envs, *s.shape), s.dtype), env.spec.obs)
    first = _first(env, zeros, np.zeros(2, np.uint32), np.zeros(env.snapshot_size, np.uint8))
    clock = jax.eval_shape(Clock.start)
    host = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), first)
    return RunState(clock, learner, *host)


def compile_hosted(assembled: Assembled, hypers: PyTree) -> tuple[Hosted, Callable[[jax.Array, PyTree], RunState]]:
    """Compiles the device's part.

    Args: `hypers`: `[1]` leaves. Returns: the host's part and `(keys, hypers) -> run`.
    """
    program, abstract = assembled.program, abstract_state(assembled)
    rows = _transition_shapes(program.env)
    shapes = (abstract.clock, abstract.learner, hypers, rows)
    info = jax.eval_shape(partial(_improve, program), *shapes)[3]
    keys = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    lowered = (
        jax.jit(partial(_store, program), donate_argnums=(0, 1)).lower(*shapes),
        jax.jit(partial(_numbered, program), donate_argnums=(0, 1)).lower(*shapes),
        jax.jit(partial(_init, program)).lower(keys, hypers),
    )
    options = {"xla_backend_optimization_level": 1} if jax.local_devices()[0].platform == "cpu" else {}
    store, improve, start = (part.compile(compiler_options=options) for part in lowered)
    act = partial(act_on_host, assembled.config.agent, program.env.spec)
    hosted = Hosted(assembled, store, improve, info, act)
    return hosted, partial(_started, hosted, start)


def _init(program: Program, key: jax.Array, hypers: PyTree) -> LearnerState:
    """The learner with a member axis of one, as every run has it."""
    return _joined(init_learner(program, key, _single(hypers)))


def _store(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, rows: Transition):
    """Adds one vector step. Returns: clock, learner and the policy to act by."""
    learner = _single(learner)
    learner = learner._replace(
        agent=program.agent.observe(learner.agent, rows),
        replay=program.replay.add(learner.replay, clock.step, rows),
        health=health.after_step(learner.health, rows.valid),
    )
    clock = clock._replace(step=clock.step.plus(1))
    return clock, _joined(learner), program.agent.policy(learner.agent)


def _improve(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, rows: Transition):
    """Adds one vector step and learns. Returns: as `_store`, and the agent's info."""
    clock, learner, _ = _store(program, clock, learner, hypers, rows)
    # Without it XLA writes the row once for those who read it and once for the result: two copies of replay a step.
    clock, learner = jax.lax.optimization_barrier((clock, learner))
    clock, learner, info = learn(program, clock, _single(learner), _single(hypers))
    return clock, _joined(learner), program.agent.policy(learner.agent), info.agent


def _numbered(program: Program, *args):
    clock, learner, policy, info = _improve(program, *args)
    return clock, learner, policy, jnp.stack(jax.tree.leaves(info))  # one array, since each costs the host a call


def _single(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x[0], tree)


def _joined(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x[None], tree)


def _started(hosted: Hosted, start: Callable, keys: jax.Array, hypers: PyTree) -> RunState:
    env = hosted.assembled.program.env
    words = np.asarray(jax.random.key_data(keys[0]), np.uint32)
    hosted.obs, hosted.at = env.reset(int(words[1] & 0x7FFFFFFF)), 0
    first = _first(env, hosted.obs, words, env.snapshot())
    return RunState(jax.jit(Clock.start)(), start(keys[0], hypers), *first)


def _first(env: HostEnv, obs: PyTree, words: np.ndarray, sim: np.ndarray) -> tuple[EnvState, Rollout]:
    count = env.spec.num_envs
    none, zero = np.zeros((1, count), bool), np.zeros((1, count), np.float32)
    obs = jax.tree.map(lambda x: x[None], obs)
    episode, steps = np.zeros((1, count), np.uint32), np.zeros((1, count), np.int32)
    state = EnvState(obs, zero, none, none, obs, ~none, sim[None], words[None], episode, steps)
    return state, Rollout((), zero, steps)


def _transition_shapes(env: HostEnv) -> Transition:
    count, spec = env.spec.num_envs, env.spec
    obs = jax.tree.map(lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), spec.obs)
    flag, number = jax.ShapeDtypeStruct((count,), bool), jax.ShapeDtypeStruct((count,), jnp.float32)
    action = jax.ShapeDtypeStruct((count, spec.action_size), jnp.float32)
    return Transition(obs, action, number, flag, flag, obs, flag)


def chunk(hosted: Hosted, run: RunState, hypers: PyTree) -> tuple[RunState, ChunkInfo]:
    """`chunk_steps` vector steps; as `softrl.training.chunk.chunk`, but on the host. Donates its run's learner."""
    config, program = hosted.assembled.config.training, hosted.assembled.program
    begin = int(run.clock.step)
    run = _rejoined(hosted, run, begin)
    clock, learner = run.clock, run.learner
    policy = _on_host(_single(program.agent.policy(learner.agent)))
    newest, words, tally, numbers = policy, run.env.key[0], Tally.of(run), []
    for step in range(begin, begin + config.chunk_steps):
        action = _action(hosted, policy, hosted.obs, words, step)
        after = program.env.step(action)
        rows = Transition(hosted.obs, action, *after[1:4], after.final_obs, after.valid)
        if config.overlap:  # what the last call learned; the device has had a step's time for it
            policy = _on_host(newest)
        ready = step + 1 >= program.learning_starts
        result = (hosted.improve if ready else hosted.store)(clock, learner, hypers, rows)
        clock, learner, newest = result[:3]
        numbers += result[3:]
        if not config.overlap:
            policy = _on_host(newest)
        hosted.obs = after.obs
        tally.count(after)
    hosted.at = begin + config.chunk_steps
    env = _environment(hosted, run.env, tally, after)
    jax.block_until_ready(learner)
    rollout = Rollout((), tally.episode_return[None], tally.episode_length[None])
    return RunState(clock, learner, env, rollout), ChunkInfo(tally.info(), _learned(hosted, numbers))


def _rejoined(hosted: Hosted, run: RunState, step: int) -> RunState:
    """The run with the environments where it left them; anew, as if physics had failed, where that cannot be."""
    run = run._replace(env=jax.tree.map(np.asarray, run.env), rollout=jax.tree.map(np.asarray, run.rollout))
    if hosted.at == step:
        return run
    env = hosted.assembled.program.env
    if env.snapshot_size:
        env.restore(run.env.sim[0])
        hosted.obs = jax.tree.map(lambda x: x[0], run.env.obs)
        return run
    hosted.obs = env.reset(int(run.env.key[0, 1] & 0x7FFFFFFF) + step)
    rollout = jax.tree.map(np.zeros_like, run.rollout)
    replay = run.learner.replay
    # The next observation stored is of another episode: the newest row has no successor.
    newest = (step - 1) % replay.valid.shape[1]
    replay = replay._replace(valid=replay.valid.at[:, newest].set(False))
    return run._replace(learner=run.learner._replace(replay=replay), rollout=rollout)


def _on_host(policy: PyTree) -> PyTree:
    """Waits for a policy; on a CPU nothing is copied."""
    return jax.tree.map(np.asarray, policy)


def _action(hosted: Hosted, policy: PyTree, obs: PyTree, words: np.ndarray, step: int) -> np.ndarray:
    spec = hosted.assembled.program.env.spec
    draw, shape = _generator(words, step, _EXPLORE), (spec.num_envs, spec.action_size)
    if step < hosted.assembled.program.learning_starts:
        return draw.uniform(-1.0, 1.0, shape).astype(np.float32)
    return hosted.act(policy, obs, draw.standard_normal(shape, np.float32))


def _generator(words: np.ndarray, step: int, purpose: int) -> np.random.Generator:
    """The random numbers of one step, by address: any step can be replayed."""
    key = int(words[0]) << 32 | int(words[1])
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, purpose, step]))


@dataclass
class Tally:
    """Episodes of one chunk. `[N]` running returns and lengths; sums over those that ended."""

    episode_return: np.ndarray
    episode_length: np.ndarray
    episode: np.ndarray
    ended: list[tuple[float, int]] = field(default_factory=list)

    @staticmethod
    def of(run: RunState) -> "Tally":
        """A chunk's, at its first step."""
        rollout = run.rollout
        return Tally(rollout.episode_return[0].copy(), rollout.episode_length[0].copy(), run.env.episode[0].copy())

    def count(self, after: HostStep) -> None:
        """Counts one vector step."""
        self.episode_return += after.reward
        self.episode_length += 1
        over = after.terminated | after.truncated
        if not (over | ~after.valid).any():
            return
        self.ended += [(float(self.episode_return[n]), int(self.episode_length[n])) for n in np.flatnonzero(over)]
        over = over | ~after.valid
        self.episode_return[over], self.episode_length[over] = 0.0, 0
        self.episode[over] += 1

    def info(self) -> CollectInfo:
        """As the device's `collect` tells it."""
        sums = [np.float32([sum(column)]) for column in zip(*self.ended, strict=True)] or [np.zeros(1, np.float32)] * 2
        return CollectInfo(*sums, np.float32([len(self.ended)]))


def _environment(hosted: Hosted, old: EnvState, tally: Tally, after: HostStep) -> EnvState:
    step = HostStep(*jax.tree.map(lambda x: np.asarray(x)[None], tuple(after)))
    sim = hosted.assembled.program.env.snapshot()[None]
    return EnvState(*step, sim, old.key, tally.episode[None], tally.episode_length[None].copy())


def _learned(hosted: Hosted, numbers: list[jax.Array]) -> LearnInfo:
    count = len(jax.tree.leaves(hosted.info))
    table = np.stack([np.asarray(row) for row in numbers]) if numbers else np.full((1, count), np.nan, np.float32)
    good = np.isfinite(table)
    total, seen = np.where(good, table, 0.0).sum(0), good.sum(0)
    means = np.where(seen > 0, total / np.maximum(seen, 1), np.nan).astype(np.float32)
    return LearnInfo(jax.tree.unflatten(jax.tree.structure(hosted.info), [means[i : i + 1] for i in range(count)]))


def evaluate(env: HostEnv, act: Callable[..., np.ndarray], policy: PyTree, seed: int = EVALUATION_SEED) -> Evaluation:
    """One episode in each of E environments, the first half by the mode, the second by sampling; `[E / 2]` leaves."""
    obs, count, half = env.reset(seed), env.spec.num_envs, env.spec.num_envs // 2
    total, length, alive = np.zeros(count), np.zeros(count, np.int32), np.ones(count, bool)
    words = np.asarray([0, seed], np.uint32)
    for step in range(env.spec.episode_length):
        modes, others = (jax.tree.map(lambda x, part=part: x[part], obs) for part in (slice(half), slice(half, None)))
        noise = _generator(words, step, _EVALUATE).standard_normal((half, env.spec.action_size), np.float32)
        after = env.step(np.concatenate([act(policy, modes, None), act(policy, others, noise)]))
        total += np.where(alive, after.reward, 0.0)
        length += alive
        alive &= ~(after.terminated | after.truncated) & after.valid
        obs = after.obs
        if not alive.any():
            break
    return Evaluation(*(np.float32(x) for x in (total[:half], length[:half], total[half:], length[half:])))


def programs_parts(assembled: Assembled, hypers: PyTree) -> dict[str, Any]:
    """What `softrl.training.programs.Programs` holds of a hosted run: start, chunk, evaluate, abstract, seconds."""
    begun = time.perf_counter()
    hosted, start = compile_hosted(assembled, hypers)
    policy = assembled.program.agent.policy

    def look(agents: PyTree) -> Evaluation:
        return jax.tree.map(
            lambda x: x[None], evaluate(assembled.evaluation, hosted.act, _on_host(_single(policy(agents))))
        )

    return {
        "start": start,
        "chunk": partial(chunk, hosted),
        "evaluate": look,
        "abstract": abstract_state(assembled),
        "seconds": time.perf_counter() - begun,
    }
