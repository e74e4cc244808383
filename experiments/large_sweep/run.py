#!/usr/bin/env python
"""A sweep of 1,024 members planned, run, killed and gone on with, whose table a kill does not change.

    python experiments/large_sweep/run.py [--spec SPEC.toml] [--out runs/large_sweep] [--kills 2]

runs `softrl sweep` three times as a user would: its plan; the whole, undisturbed; and the whole once more, killed by
SIGKILL at equal parts of its ledger and started again each time. It fails unless both results.csv are equal to the
last byte, and writes large_sweep.json beside this file, or into --figures. Its two sweeps below --out begin anew.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from softrl.sweep import folder

HERE = Path(__file__).resolve().parent
SOFTRL = (sys.executable, "-m", "softrl")


def main() -> None:
    """Plans, runs, kills, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, default=HERE / "spec.toml", help="the sweep")
    parser.add_argument("--out", type=Path, default=Path("runs/large_sweep"), help="where both are trained")
    parser.add_argument("--figures", type=Path, default=HERE, help="where the figures go")
    parser.add_argument("--kills", type=int, default=2, help="of the second")
    options = parser.parse_args()
    calm, killed = options.out / "calm", options.out / "killed"
    for earlier in (calm, killed):
        shutil.rmtree(earlier, ignore_errors=True)
    plan = said([*SOFTRL, "sweep", str(options.spec), "--plan"])
    calm_s = undisturbed(options.spec, calm)
    parts = [lines(calm) * k // (options.kills + 1) for k in range(1, options.kills + 1)]
    lost = [killed_after(options.spec, killed, part) for part in parts]
    killed_s = sum(lost) + undisturbed(options.spec, killed)
    table = (calm / "results.csv").read_bytes()
    if (killed / "results.csv").read_bytes() != table:
        sys.exit(f"{killed}/results.csv is not {calm}/results.csv: a kill changed the table")
    about = folder.read(calm).about
    figures = {
        "members": table.count(b"\n") - 1,
        "plan": plan.splitlines(),
        "seconds": round(calm_s, 1),
        "kills": options.kills,
        "seconds_with_kills": round(killed_s, 1),
        "bytes": sum(file.stat().st_size for file in calm.rglob("*") if file.is_file()),
        "versions": about["versions"],
        "commit": about["commit"],
        "device": about["machine"]["device"],
    }
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    (options.figures / "large_sweep.json").write_text(text + "\n")
    print(text)


def said(command: list[str]) -> str:
    """What a command prints that ends well."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def undisturbed(spec: Path, out: Path) -> float:
    """Trains to the end, or goes on to it. Returns: seconds, of the whole process."""
    began = time.perf_counter()
    said([*SOFTRL, "sweep", str(spec), "--out", str(out)])
    return time.perf_counter() - began


def killed_after(spec: Path, out: Path, count: int) -> float:
    """Trains until the ledger has so many lines, and kills. Returns: seconds until then."""
    began = time.perf_counter()
    process = subprocess.Popen([*SOFTRL, "sweep", str(spec), "--out", str(out)], stdout=subprocess.DEVNULL)
    while lines(out) < count:
        if process.poll() is not None:
            sys.exit(f"{out} ended by itself before it was to be killed, after {lines(out)} lines of its ledger")
        time.sleep(0.02)
    process.kill()
    process.wait()
    return time.perf_counter() - began


def lines(out: Path) -> int:
    """How many lines the ledger has."""
    ledger = out / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


if __name__ == "__main__":
    main()
