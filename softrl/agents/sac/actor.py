"""The networks of soft actor-critic as data, and its policy in NumPy."""

from softrl.agents.policy import Policy, in_numpy, widths
from softrl.agents.sac.config import SACConfig
from softrl.layers import Layers, perceptron
from softrl.numpy_network import Categorical, Head, TanhGaussian
from softrl.numpy_policy import NumpyPolicy
from softrl.types import Action, Discrete, EnvSpec, Spec


def critic_layers(config: SACConfig, out: int = 1) -> Layers:
    """A critic's or the value network's. out: the numbers that they end in, of a discrete critic one an action."""
    return _layers(config, config.critic_widths, out)


def policy_layers(config: SACConfig, action: Action) -> Layers:
    """The policy's; a small head starts every action near zero, every raw log std too, and all of n actions alike."""
    out = action.n if isinstance(action, Discrete) else 2 * action.size
    return _layers(config, config.policy_widths, out, head_scale=0.01)


def _layers(config: SACConfig, spelled: str, out: int, *, head_scale: float = 1.0) -> Layers:
    style = {"activation": config.activation, "layer_norm": config.layer_norm}
    return perceptron(widths(spelled, config.width, config.depth), out, head_scale=head_scale, **style)


def head(config: SACConfig, action: Action) -> Head:
    """How the policy network's output becomes actions."""
    if isinstance(action, Discrete):
        return Categorical(action.n)
    return TanhGaussian(action.size, config.log_std_min, config.log_std_max, config.log_std_map)


def actor(config: SACConfig, spec: Spec | EnvSpec, policy: Policy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, see `softrl.agents.policy.in_numpy`."""
    layers, out = policy_layers(config, spec.action), head(config, spec.action)
    return in_numpy(policy, spec, layers, out, normalize=config.normalize_obs, version=version)
