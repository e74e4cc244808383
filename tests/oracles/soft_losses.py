"""Losses of soft actor-critic at points where they can be written down: tabulated, in double precision."""

import numpy as np

TEMPERATURE = 0.3
Q = np.array([1.0, 0.2, -0.5, 0.7])
LOGITS = np.array([0.1, -0.2, 0.4, 0.0])
ACTOR_LOSS = -0.685592499337257
"""Σ_a π (α log π − Q) for π = softmax(LOGITS)."""
ACTOR_GRADIENT = np.array([-0.18269467261717098, -0.003700685349054095, 0.29055924070888, -0.10416388274265484])
"""Its gradient in the logits; confirmed by differences."""
BEST_ACTOR_LOSS = -1.1102460614221838
"""−α log Σ exp(Q/α): no policy has less, and softmax(Q/α) has it."""

TEMPERATURE_OF_ENTROPY = {0.98 * np.log(4.0): 2.308640816372817, 0.5: 0.1831989281887973}
"""Entropy → the one temperature at which softmax(Q/α) has it."""

STATE_Q = np.array([0.5, 1.2, -0.3])
STATE_POLICY = np.array([0.2, 0.5, 0.3])
STATE_VALUE, NEXT_VALUE, REWARD, GAMMA, ACTION = 0.4, 0.9, -0.1, 0.99, 1
VALUE_LOSS = 0.13462647970781985
"""½ (V − Σ_a π (Q − α log π))²."""
CRITIC_LOSS = 0.08364049999999996
"""½ (Q(a) − (r + γ V(s′)))²."""
POLICY_LOSS = -0.9188959042193721
"""Σ_a π (α log π − Q)."""


def actor_loss(logits: np.ndarray) -> float:
    """Σ_a π (α log π − Q), π = softmax(logits)."""
    log_policy = logits - np.log(np.exp(logits).sum())
    return float(np.exp(log_policy) @ (TEMPERATURE * log_policy - Q))


def softmax_entropy(temperature: float) -> float:
    """Entropy of softmax(Q/α) in nats."""
    logits = Q / temperature - np.log(np.exp(Q / temperature).sum())
    return float(-np.exp(logits) @ logits)
