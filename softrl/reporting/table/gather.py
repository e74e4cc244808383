"""Everything under a directory that a table can be made of."""

from collections.abc import Iterator
from pathlib import Path

from softrl.errors import CheckpointError, ConfigError
from softrl.reporting.table import results
from softrl.reporting.table.results import Result
from softrl.storage import directory as run_directory
from softrl.storage import durable


def read(directory: str | Path) -> list[Result]:
    """All results under a directory: files of results, run directories and sweeps, in order of their paths.

    Raises:
      ConfigError: there is none, or two are of the same seed of the same thing.
      CheckpointError: one is damaged.
    """
    found = list(_under(Path(directory)))
    if not found:
        raise ConfigError(
            f"{directory} holds no results: give a directory with files of results, run directories or a sweep"
        )
    _refuse_repeated(found)
    return [result for _, result in found]


def _under(path: Path) -> Iterator[tuple[Path, Result]]:
    if path.is_file():
        with durable.explained("read", path):
            content = path.read_bytes()
        try:
            data = durable.decode(content)
        except ValueError:
            raise CheckpointError(f"{path} is damaged: not JSON; make it again from its run, or take it away") from None
        if isinstance(data, dict) and isinstance(data.get("curve"), dict):  # other people's files may lie beside
            yield path, results.parsed(data, path)
        return
    if (path / "sweep.json").exists() or (path / run_directory.CONFIG).exists():
        from softrl.reporting.table import runs  # loads what trains; files of results do not need it

        yield from ((path, result) for result in runs.read(path))
        return
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if entry.is_dir() or entry.suffix == ".json":
                yield from _under(entry)


def _refuse_repeated(found: list[tuple[Path, Result]]) -> None:
    """Two files of one seed are no two seeds. Members of one sweep are its own business: a search may repeat one."""
    seen: dict[str, Path] = {}
    for path, result in found:
        key = durable.encode(
            [result.suite, result.task, result.algorithm, result.preset, dict(result.setting), result.seed]
        )
        if seen.setdefault(key, path) != path:
            raise ConfigError(
                f"{seen[key]} and {path} are the same seed {result.seed} of {result.algorithm} on {result.task}: "
                "a seed counts once, so take one of them away"
            )
