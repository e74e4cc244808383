"""A Brax environment of one's own: an arm of one joint, described in MJCF, that holds itself upright.

softrl train experiments.environments.reaching_arm:Arm --steps 65536
"""

import jax
import jax.numpy as jnp
from brax.envs.base import PipelineEnv, State
from brax.io import mjcf

MODEL = """
<mujoco>
  <option timestep="0.02"/>
  <worldbody>
    <light pos="0 -2 3" dir="0 0.5 -1"/>
    <body name="arm" pos="0 0 1">
      <joint name="shoulder" type="hinge" axis="0 1 0" damping="0.2"/>
      <geom type="capsule" fromto="0 0 0 0 0 0.5" size="0.04" mass="1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="shoulder" gear="8" ctrlrange="-1 1" ctrllimited="true"/>
  </actuator>
</mujoco>
"""


class Arm(PipelineEnv):
    """Observation `[3]`: sine and cosine of the angle, and its rate. Action `[1]`: torque. It falls beyond 90°."""

    def __init__(self, backend: str = "generalized", push: float = 0.2):
        super().__init__(mjcf.loads(MODEL), backend=backend, n_frames=2)
        self.push = push

    def reset(self, rng: jax.Array) -> State:
        """Nearly upright, with a push."""
        angle, rate = jax.random.uniform(rng, (2, 1), minval=-self.push, maxval=self.push)
        pipeline_state = self.pipeline_init(angle, rate)
        return State(pipeline_state, self._seen(pipeline_state), jnp.zeros(()), jnp.zeros(()))

    def step(self, state: State, action: jax.Array) -> State:
        """One for every step upright, less what the torque costs. Done means fallen: softrl keeps the time."""
        pipeline_state = self.pipeline_step(state.pipeline_state, action)
        angle = pipeline_state.q[0]
        return state.replace(
            pipeline_state=pipeline_state,
            obs=self._seen(pipeline_state),
            reward=jnp.cos(angle) - 0.01 * jnp.sum(action**2),
            done=jnp.float32(jnp.abs(angle) > jnp.pi / 2),
        )

    def _seen(self, pipeline_state) -> jax.Array:
        angle, rate = pipeline_state.q[0], pipeline_state.qd[0]
        return jnp.stack([jnp.sin(angle), jnp.cos(angle), rate])
