"""The policy of soft Q-learning as it is published, and in NumPy.

Of continuous actions the sampler is the policy. Of discrete ones the critic is: softmax(Q/α), so the last layer of what
is published is divided by α, and its outputs are the logits.
"""

import jax

from softrl.agents.policy import Policy, in_numpy
from softrl.agents.soft_q.config import SoftQConfig
from softrl.agents.soft_q.layers import policy_layers
from softrl.agents.soft_q.state import SoftQState
from softrl.layers import named
from softrl.numpy_network import Categorical, Head, Sampler
from softrl.numpy_policy import NumpyPolicy
from softrl.types import Action, Discrete, EnvSpec, PyTree, Spec


def published(config: SoftQConfig, action: Action, state: SoftQState) -> Policy:
    """Enough to act: the sampler, or the only critic over α."""
    if not isinstance(action, Discrete):
        return Policy(state.sampler.params, state.sampler.batch_stats, state.statistics)
    params = jax.tree.map(lambda x: x[0], state.critic.params)
    last = named(policy_layers(config, action))[-1][0]
    return Policy(_over(params, last, state.temperature), state.critic.batch_stats, state.statistics)


def _over(params: PyTree, last: str, temperature: jax.Array) -> PyTree:
    """The network whose outputs are the given one's over α."""
    tempered = jax.tree.map(lambda x: x / temperature, params["params"][last])
    return {**params, "params": {**params["params"], last: tempered}}


def head(action: Action) -> Head:
    """How the published network's output becomes actions."""
    return Categorical(action.n) if isinstance(action, Discrete) else Sampler(action.size)


def actor(config: SoftQConfig, spec: Spec | EnvSpec, policy: Policy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, see `softrl.agents.policy.in_numpy`."""
    layers, out = policy_layers(config, spec.action), head(spec.action)
    return in_numpy(policy, spec, layers, out, normalize=config.normalize_obs, version=version)
