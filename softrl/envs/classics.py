"""Cart-pole, pendulum and mountain car in JAX, step for step those of Gymnasium's classic control.

Sources: Barto, Sutton and Anderson 1983 (cart-pole); Moore 1990 (mountain car); Gymnasium 1.x for all numbers.
"""

import math

import jax
import jax.numpy as jnp

from softrl.types import Continuous, Discrete, Simulator


def cart_pole() -> Simulator:
    """A pole on a cart, pushed left (0) or right (1): 1 a step until it leans by 12° or the cart is 2.4 m away.

    Observation `[4]`: position (m), its rate, the pole's angle (rad), its rate.
    """

    def reset(key, index):
        state = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        return state, state

    def step(state, action):
        _, x_rate, angle, angle_rate = state
        force = jnp.where(action == 1, 10.0, -10.0)
        pole, total, half = 0.1, 1.1, 0.5  # masses in kg, half the pole's length in m
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        push = (force + pole * half * angle_rate**2 * sin) / total
        angle_acceleration = (9.8 * sin - cos * push) / (half * (4.0 / 3.0 - pole * cos**2 / total))
        acceleration = push - pole * half * angle_acceleration * cos / total
        rates = jnp.stack([x_rate, acceleration, angle_rate, angle_acceleration])
        state = state + 0.02 * rates
        over = (jnp.abs(state[0]) > 2.4) | (jnp.abs(state[2]) > math.radians(12.0))
        return state, state, jnp.float32(1.0), over

    return Simulator(reset, step, Discrete(2))


def pendulum() -> Simulator:
    """A pendulum to be swung up by a torque in ± 2 N m: −(angle² + 0.1 rate² + 0.001 torque²), 0 upright. Never ends.

    Observation `[3]`: cosine and sine of the angle from upright, and its rate, at most 8 rad/s.
    """

    def seen(state):
        return jnp.stack([jnp.cos(state[0]), jnp.sin(state[0]), state[1]])

    def reset(key, index):
        state = jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0) * jnp.float32([math.pi, 1.0])
        return state, seen(state)

    def step(state, action):
        angle, rate = state
        torque = jnp.clip(action[0], -2.0, 2.0)
        upright = jnp.mod(angle + math.pi, 2.0 * math.pi) - math.pi
        reward = -(upright**2 + 0.1 * rate**2 + 0.001 * torque**2)
        rate = jnp.clip(rate + (15.0 * jnp.sin(angle) + 3.0 * torque) * 0.05, -8.0, 8.0)
        state = jnp.stack([angle + rate * 0.05, rate])
        return state, seen(state), reward, jnp.bool_(False)

    return Simulator(reset, step, Continuous(1, (-2.0,), (2.0,)))


def mountain_car() -> Simulator:
    """A car too weak for its hill, pushed left (0), not (1) or right (2): −1 a step until it is up, at 0.5.

    Observation `[2]`: position and velocity.
    """

    def reset(key, index):
        state = jnp.stack([jax.random.uniform(key, minval=-0.6, maxval=-0.4), jnp.float32(0.0)])
        return state, state

    def step(state, action):
        position, velocity = state
        velocity = velocity + (action - 1) * 0.001 - 0.0025 * jnp.cos(3.0 * position)
        velocity = jnp.clip(velocity, -0.07, 0.07)
        position = jnp.clip(position + velocity, -1.2, 0.6)
        velocity = jnp.where((position == -1.2) & (velocity < 0.0), 0.0, velocity)
        state = jnp.stack([position, velocity])
        return state, state, jnp.float32(-1.0), (position >= 0.5) & (velocity >= 0.0)

    return Simulator(reset, step, Discrete(3))


CLASSICS = {"cart-pole": (cart_pole, 500), "pendulum": (pendulum, 200), "mountain-car": (mountain_car, 200)}
"""By name, each with its time limit in steps."""
