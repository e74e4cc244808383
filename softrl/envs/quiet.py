"""Simulators that talk: what they say is not for softrl's user."""

import contextlib
import io
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(prints: bool = False) -> Iterator[None]:
    """Keeps advertisements, deprecations of registered versions and MuJoCo's MUJOCO_LOG.TXT from the user.

    Args: `prints`: what is printed too, such as MJX's search for warp.
    """
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        if prints:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImportError):
            import mujoco

            mujoco.set_mju_user_warning(lambda message: None)
            stack.callback(mujoco.set_mju_user_warning, None)
        yield
