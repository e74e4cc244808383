"""How programs are compiled, and JAX's cache of them: what was compiled once on this machine is not compiled again."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax


def use_compilation_cache() -> None:
    """Turns on JAX's persistent compilation cache in the user's cache folder, unless one is configured already."""
    if jax.config.jax_compilation_cache_dir is None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(base / "softrl" / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def compiler_options() -> dict[str, int]:
    """On a CPU LLVM's first level: half the compile time, updates as fast, physics slower by 4 %."""
    return {"xla_backend_optimization_level": 1} if jax.local_devices()[0].platform == "cpu" else {}


def compiled(*lowered: Any) -> list[Any]:
    """Executables of lowered programs, in order; XLA compiles them in parallel threads."""
    with ThreadPoolExecutor(len(lowered)) as pool:
        return list(pool.map(lambda program: program.compile(compiler_options=compiler_options()), lowered))
