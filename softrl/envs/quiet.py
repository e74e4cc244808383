"""Simulators that talk: what they say is not for softrl's user."""

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps advertisements, deprecations of registered versions and MuJoCo's MUJOCO_LOG.TXT from the user."""
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImportError):
            import mujoco

            mujoco.set_mju_user_warning(lambda message: None)
            stack.callback(mujoco.set_mju_user_warning, None)
        yield
