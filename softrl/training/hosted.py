"""A run whose environments are on the host: act, step, hand the rows to the device; which learns meanwhile.

The session, its checkpoints and metrics are those of any run; `chunk` and `evaluate` are others. The device gets
`train_freq` vector steps a call. With `overlap` the policy that acts is always exactly one call older than the newest,
and the newest itself at the first call of a chunk; without, the host waits for every update. Both are functions of the
seed alone: nothing depends on who was faster.
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from softrl.clock import Clock, Purpose, at
from softrl.envs import boxes
from softrl.envs.host import HostEnv, HostStep
from softrl.numpy_policy import NumpyPolicy
from softrl.training.assemble import Assembled, acting
from softrl.training.chunk import ChunkInfo
from softrl.training.collect import CollectInfo
from softrl.training.evaluate import Evaluation
from softrl.training.hosted_device import DevicePrograms, compile_device, first_environment
from softrl.training.hosted_noise import HostNoise
from softrl.training.learn import LearnInfo
from softrl.training.members import joined, single
from softrl.training.records import finite_mean
from softrl.training.state import Rollout, RunState
from softrl.types import EnvState, Hypers, PyTree, Transition

EVALUATION_SEED = 1_000_003
"""Of the evaluation's episodes, the same for every run."""

EXPLORE, EVALUATE = 0, 1
"""What a draw on the host is for."""


@dataclass
class Hosted:
    """The host's part of a run; what is mutable about it.

    at: the vector step at which the environments stand; None where they must be brought to the run's. obs: what they
    show there.
    """

    assembled: Assembled
    device: DevicePrograms
    at: int | None = None
    obs: PyTree = field(default=None)


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
        """As the device's `collect` has it."""
        sums = [np.float32([sum(column)]) for column in zip(*self.ended, strict=True)] or [np.zeros(1, np.float32)] * 2
        return CollectInfo(*sums, np.float32([len(self.ended)]))


def compile_hosted(assembled: Assembled, abstract: RunState, hypers: Hypers) -> Hosted:
    """Compiles the device's part; the environments are not opened yet. Args: `hypers`: `[1]` leaves."""
    device = compile_device(assembled.program, abstract, hypers, assembled.config.training.train_freq)
    return Hosted(assembled, device)


def started(hosted: Hosted, keys: jax.Array, hypers: Hypers) -> RunState:
    """The first state of a run, its environments opened. Args: `keys`: `[1]`; `hypers`: `[1]` leaves."""
    env = hosted.assembled.program.env
    words = np.asarray(jax.random.key_data(keys[0]), np.uint32)
    hosted.obs, hosted.at = env.reset(int(words[1] & 0x7FFFFFFF)), 0
    learner, carry = hosted.device.start(keys[0], hypers)
    first = first_environment(env, hosted.obs, words, env.snapshot(), carry)
    return RunState(jax.jit(Clock.start)(), learner, *first)


def chunk(hosted: Hosted, run: RunState, hypers: Hypers) -> tuple[RunState, ChunkInfo]:
    """`chunk_steps` vector steps; as `softrl.training.chunk.chunk`, but on the host. Donates its run's learner."""
    config, program = hosted.assembled.config.training, hosted.assembled.program
    begin = int(run.clock.step)
    run = _rejoined(hosted, run, begin)
    # A copy: a call that is given its arguments for good writes into them.
    state = (run.clock, run.learner, jax.tree.map(jnp.array, run.rollout.carry))
    newest = single(program.agent.policy(run.learner.agent))
    policy = acting(hosted.assembled, newest)
    words, tally, numbers = run.env.key[0], Tally.of(run), []
    noise = HostNoise.of(hosted.assembled.config, run.rollout.carry)
    for step in range(begin, begin + config.chunk_steps, config.train_freq):
        rows, after = _collect(hosted, policy, words, range(step, step + config.train_freq), tally, noise)
        ready = step + 1 >= program.learning_starts
        result = (hosted.device.improve if ready else hosted.device.store)(state, hypers, rows)
        if config.overlap:  # what the last call learned, while this one waits in line: the device is never idle
            policy = acting(hosted.assembled, newest)
        state, newest = result[:2]
        numbers += result[2:]
        if not config.overlap:
            policy = acting(hosted.assembled, newest)
    hosted.at = begin + config.chunk_steps
    env = _environment(hosted, run.env, tally, after)
    clock, learner, carry = jax.block_until_ready(state)
    rollout = Rollout(noise.kept(carry), tally.episode_return[None], tally.episode_length[None])
    return RunState(clock, learner, env, rollout), ChunkInfo(tally.info(), _learned(hosted, numbers))


def generator(words: np.ndarray, step: int, purpose: int) -> np.random.Generator:
    """The random numbers of one call of the device, or of one step of an evaluation: any call can be replayed.

    Args: `words`: `[2]` uint32, a key's; `step`: its first; `purpose`: `EXPLORE` or `EVALUATE`.
    """
    key = int(words[0]) << 32 | int(words[1])
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, purpose, step]))


def evaluate(env: HostEnv, policy: NumpyPolicy, seed: int = 0) -> Evaluation:
    """One episode in each of E environments, the first half by the mode, the second by sampling; `[E / 2]` leaves."""
    seed += EVALUATION_SEED
    obs, count, half = env.reset(seed), env.spec.num_envs, env.spec.num_envs // 2
    total, length, alive = np.zeros(count), np.zeros(count, np.int32), np.ones(count, bool)
    words = np.asarray([0, seed], np.uint32)
    for step in range(env.spec.episode_length):
        obs, known = _known(obs, count)
        modes, others = (jax.tree.map(lambda x, part=part: x[part], obs) for part in (slice(half), slice(half, None)))
        noise = policy.draw_noise(generator(words, step, EVALUATE), half)
        after = env.step(np.concatenate([policy.act(modes), policy.act(others, noise)]))
        valid = after.valid & known
        total += np.where(alive, np.where(valid, after.reward, np.nan), 0.0)
        length += alive
        alive &= ~(after.terminated | after.truncated) & valid
        obs = after.obs
        if not alive.any():
            break
    return Evaluation(*(np.float32(x) for x in (total[:half], length[:half], total[half:], length[half:])))


def evaluate_policies(hosted: Hosted, policies: PyTree, seed: int) -> Evaluation:
    """`evaluate` for the policy of the one member."""
    policy = acting(hosted.assembled, single(policies))
    return joined(evaluate(hosted.assembled.evaluation, policy, seed))


def close(hosted: Hosted) -> None:
    """Closes the environments; the next chunk or evaluation opens them again."""
    hosted.at = None
    for env in (hosted.assembled.program.env, hosted.assembled.evaluation):
        env.close()


def _rejoined(hosted: Hosted, run: RunState, step: int) -> RunState:
    """The run with the environments where it left them; anew, as if physics had failed, where that cannot be."""
    run = run._replace(env=jax.tree.map(np.asarray, run.env), rollout=jax.tree.map(np.asarray, run.rollout))
    if hosted.at == step:
        return run
    env = hosted.assembled.program.env
    if env.snapshot_size:
        hosted.obs = jax.tree.map(lambda x: x[0], run.env.obs)
        env.restore(run.env.sim[0], hosted.obs)
        return run
    # Not `seed + step`, which would be the first seeds of another run.
    hosted.obs = env.reset(int(np.random.SeedSequence([*run.env.key[0], step]).generate_state(1)[0] & 0x7FFFFFFF))
    zeros = jax.tree.map(np.zeros_like, (run.rollout.episode_return, run.rollout.episode_length))
    key = at(run.learner.key[0], run.clock.step, Purpose.CARRY)
    carry = joined(hosted.assembled.program.agent.carry(env.spec.num_envs, key))
    rollout = Rollout(carry, *zeros)
    # The next observation stored is of another episode: the newest row has no successor.
    sever = hosted.assembled.program.replay.sever
    replay = jax.vmap(lambda replay: sever(replay, run.clock.step))(run.learner.replay)
    return run._replace(learner=run.learner._replace(replay=replay), rollout=rollout)


def _collect(
    hosted: Hosted, policy: NumpyPolicy, words: np.ndarray, steps: range, tally: Tally, noise: HostNoise
) -> tuple[Transition, HostStep]:
    """Vector steps by one policy, by uniform actions during warm-up. Returns: rows `[F, N, ...]` and the last step."""
    rows, program = [], hosted.assembled.program
    random, lead = generator(words, steps.start, EXPLORE), (len(steps), program.env.spec.num_envs)
    warming = steps.start < program.learning_starts
    draws = (noise.explore if warming else noise.draws)(policy, random, *lead)
    for draw in draws:
        obs, known = _known(hosted.obs, program.env.spec.num_envs)
        action = draw if warming else policy.act(obs, draw)
        after = program.env.step(action)
        if not known.all():
            flags = {name: getattr(after, name) & known for name in ("terminated", "truncated", "valid")}
            after = after._replace(**flags, final_obs=_known(after.final_obs, len(known))[0])
        rows.append(Transition(obs, action, *after[1:4], after.final_obs, after.valid))
        hosted.obs = after.obs
        tally.count(after)
        noise.seen(after)
    return jax.tree.map(lambda *x: np.stack(x), *rows), after


def _known(obs: PyTree, num_envs: int) -> tuple[PyTree, np.ndarray]:
    """Observations with zeros for the rows that are not finite, which a reset, too, can give, and which rows are."""
    known = boxes.finite(obs, np.zeros(num_envs))
    if known.all():
        return obs, known
    return jax.tree.map(lambda x: np.where(known.reshape(-1, *[1] * (x.ndim - 1)), x, np.zeros_like(x)), obs), known


def _environment(hosted: Hosted, old: EnvState, tally: Tally, after: HostStep) -> EnvState:
    step = HostStep(*jax.tree.map(lambda x: np.asarray(x)[None], tuple(after)))
    sim = hosted.assembled.program.env.snapshot()[None]
    return EnvState(*step, sim, old.key, tally.episode[None], tally.episode_length[None].copy())


def _learned(hosted: Hosted, numbers: list[jax.Array]) -> LearnInfo:
    leaves, structure = jax.tree.flatten(hosted.device.info)
    table = np.concatenate(numbers) if numbers else np.full((1, len(leaves)), np.nan, np.float32)
    return jax.tree.unflatten(structure, np.split(finite_mean(table).astype(np.float32), len(leaves)))
