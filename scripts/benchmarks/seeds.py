"""Files of seeds: every finished run is a small file of its own, so that tables grow over days and machines."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    """Something to measure, with a name for tables, files and `--only`."""

    @property
    def name(self) -> str:
        """Its words are what `--only` looks for."""


T = TypeVar("T", bound=Named)


def arguments(parser: argparse.ArgumentParser, results: Path) -> None:
    """The flags of a subcommand whose finished seeds are files. Args: `results`: its folder by default."""
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="tasks whose names have all these words")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each task")
    parser.add_argument("--results", type=Path, default=results, help="folder of a file a seed")
    parser.add_argument("--table", action="store_true", help="run nothing; print what there is")


def chosen(tasks: Sequence[T], words: Sequence[str]) -> list[T]:
    """The tasks whose names have all these words. Raises: RuntimeError where there is none."""
    found = [task for task in tasks if all(word in task.name for word in words)]
    if not found:
        raise RuntimeError(f"no task has {' and '.join(words)}; tasks: {', '.join(task.name for task in tasks)}")
    return found


def missing(tasks: Sequence[T], options: argparse.Namespace) -> Iterator[tuple[T, int, Path]]:
    """The runs to make and their files, seed by seed: those that are not there. With --table none."""
    for seed in range(0 if options.table else options.seeds):
        for task in tasks:
            path = file(options.results, task, seed)
            if not path.exists():
                yield task, seed, path


def file(folder: Path, task: Named, seed: int | str) -> Path:
    """Where a finished seed is kept."""
    return folder / f"{task.name.replace('/', '_').replace(' ', '_')}_{seed}.json"


def known(folder: Path, task: Named) -> list[dict[str, Any]]:
    """All finished seeds of a task."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob(file(folder, task, "*").name))]


def require_alike(
    task: Named, runs: Sequence[dict[str, Any]], options: argparse.Namespace, names: Sequence[str]
) -> None:
    """Raises: RuntimeError where a seed was made with another of these options than is asked for now."""
    for run, name in ((run, name) for run in runs for name in names):
        if run[name] != (asked := getattr(options, name)):
            raise RuntimeError(
                f"{task.name}, seed {run['seed']}, had {name} {run[name]}, not {asked}: give --{name} {run[name]}, or "
                "other --results"
            )


def keep(path: Path, record: dict[str, Any]) -> None:
    """Writes a finished seed, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    part.replace(path)
