"""`scripts/bench same`: whether this tree makes the same bits as an older commit of it: checkpoints and metrics."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import protocol, report
from benchmarks.against import checkout
from benchmarks.protocol import ROOT, import_from
from benchmarks.report import Bar

SMALL = """probe/bounded-lq --width 32 --num-envs 16 --batch-size 64 --updates-per-step 4 --replay-size 8192 --seed 3
 --learning-starts 512 --chunk-steps 64 --eval-every 4096 --eval-episodes 4 --steps 8192"""

RUNS = {
    "pendulum": "brax/inverted_pendulum --steps 4096 --eval-every 2048 --seed 1",
    "three-step": f"{SMALL} --n-step 3 --recency-horizon 4000",
    "value": f"{SMALL} --n-step 2 --value-network --policy-delay 2 --action-prior uniform",
    "seeds": f"{SMALL} --n-step 3 --recency-horizon 4000 --seeds 4",
    "host": """gym/Pendulum-v1 --steps 768 --width 64 --batch-size 64 --learning-starts 128 --replay-size 4096
     --chunk-steps 64 --eval-every 384 --eval-episodes 2 --seed 2""",
}
"""Name -> a training's words."""

SWEEP = """seeds = 1
[base]
env = "probe/bounded-lq"
num_envs = 8
depth = 1
batch_size = 32
updates_per_step = 2
replay_size = 4096
learning_starts = 256
chunk_steps = 64
eval_every = 2048
eval_episodes = 4
steps = 4096
[axes]
critic_lr = [1e-4, 3e-4, 1e-3]
width = [16, 32]
"""

RENAMED: dict[str, str] = {}
"""Old path of a leaf -> its path now: checkpoints hold leaves by path, so this is also what would migrate them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("commit", help="of this repository, for example a tag")


def run(options: argparse.Namespace) -> dict:
    """Makes the runs twice, compares, prints and returns the result."""
    result = report.header("same", vars(options).copy())
    with tempfile.TemporaryDirectory() as folder:
        trees = {"now": ROOT, "before": checkout(options.commit)}
        made = {name: _made(root, Path(folder) / name) for name, root in trees.items()}
    before = {run: {RENAMED.get(leaf, leaf): x for leaf, x in leaves.items()} for run, leaves in made["before"].items()}
    wrong = {run: _unlike(before.get(run, {}), made["now"].get(run, {})) for run in before | made["now"]}
    rows = [[name, len(made["now"].get(name, {})), len(found)] for name, found in wrong.items()]
    report.table("leaves and lines", ["", "compared", "different"], rows)
    claim = Bar(f"differences from {options.commit}", sum(map(len, wrong.values())), 0, at_least=False)
    return result | {"different": wrong, "bars": report.bars([claim])}


def _made(root: Path, out: Path) -> dict[str, dict[str, Any]]:
    out.mkdir()
    (out / "sweep.toml").write_text(SWEEP)
    for name, words in RUNS.items():
        _softrl(root, ["train", *words.split(), "--no-video", "--out", str(out / name)], name)
    _softrl(root, ["sweep", str(out / "sweep.toml"), "--keep-checkpoints", "--out", str(out / "sweep")], "sweep")
    return {str(log.parent.relative_to(out)): _read(log.parent) for log in sorted(out.rglob("metrics.jsonl"))}


def _softrl(root: Path, words: list[str], name: str) -> None:
    print(f"  {root.name}: {name}", file=sys.stderr, flush=True)
    environment = {**os.environ, **protocol.AS_TRAINED, **import_from(root)}
    command = [sys.executable, "-P", "-m", "softrl.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{root}: softrl {' '.join(words)} failed: {done.stderr[-1000:]}")


def _read(run: Path) -> dict[str, Any]:
    """The leaves of a run's newest checkpoint and of its best policy by their hashes; its metrics but for the clock."""
    found: dict[str, Any] = {}
    for place in (run / "checkpoints", run / "checkpoints" / "best"):
        newest = max((path for path in place.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        for leaf in json.loads((newest / "manifest.json").read_text())["leaves"]:
            if leaf["size"]:
                found[f"{place.name}{leaf['path']}"] = [leaf["dtype"], leaf["shape"], leaf["sha256"]]
    for number, line in enumerate((run / "metrics.jsonl").read_text().splitlines()):
        told = {name: part for name, part in json.loads(line).items() if name not in ("timing", "state_sha256")}
        found[f"line {number}"] = told
    return found


def _unlike(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    as_text = lambda value: json.dumps(value, sort_keys=True)
    return [name for name in sorted(old.keys() | new.keys()) if as_text(old.get(name)) != as_text(new.get(name))]
