"""Speed and learning of softrl, side by side with its peers, on this machine, now.

    scripts/bench updates      gradient updates a second at half cheetah's sizes, the gradient loop alone, everybody
                               with a replay of its own full of random transitions: softrl's shipped `learn`, against
                               Stable-Baselines3, SBX and rejax; the share of the machine's own rate of matrix
                               products; many members in one program
    scripts/bench endtoend     Brax's half cheetah (spring): environment steps a second against Brax's own SAC at the
                               same sizes, and wall clock to the return that Brax reaches
    scripts/bench brax         returns by the clock on three of Brax's robots, softrl's default preset beside Brax's SAC
                               with its notebook's settings
    scripts/bench host         Gymnasium's half cheetah on the host, one update a step: environment steps a second
                               against SBX and Stable-Baselines3, latency of `Learner.step`; --learning: returns instead
    scripts/bench learning     deterministic returns of the default training within a time limit, seed by seed
    scripts/bench memory       bytes a stored transition, against Brax's layout
    scripts/bench start        seconds from `softrl train` to its first evaluation, cold and with a warm cache
    scripts/bench sweep        updates a second of many members against one and against rejax's `vmap`; the time to plan
                               10,000 members; the driver's memory over 1,000 chunks
    scripts/bench inference    exact inference on tables against the same recursion in numpy and scipy, many models and
                               one large one; the associative scan against the sequential one
    scripts/bench family       every algorithm's returns, seed by seed, beside Stable-Baselines3's PPO and DQN
    scripts/bench peers        returns by step and by second on Gymnasium's robots: softrl's presets beside SBX's SAC,
                               TQC, CrossQ and SimBa and Stable-Baselines3's SAC, each pinned to a core
    scripts/bench ablations    returns of the preset sample-efficient without one of its ingredients at a time
    scripts/bench accelerator  on a GPU or TPU, within ten minutes: steps and updates a second of 1 to 128 members, in
                               both precisions, as a share of what the device can do; time to a return on Brax's robots
    scripts/bench compat       Stable-Baselines3's own callbacks, environments and loggers with softrl.compat.sb3
    scripts/bench playground   every robot of MuJoCo Playground in a process of its own: seconds to load, trace and
                               compile, steps a second, memory, films; SOFTRL_EXTRAS=playground brings the library
    scripts/bench resets       what resets cost beside the simulator's own step, with and without kept first states, and
                               how many episodes begin alike
    scripts/bench against COMMIT  this tree against an older commit, turn by turn: updates, and steps on the host
    scripts/bench same COMMIT  whether this tree makes the same bits as an older commit: checkpoints and metrics

Contestants are processes in environments of their own (`benchmarks/workers`). Where rates are compared, all of them
are alive and take turns, so that a machine that slows down slows everybody; tables show medians over rounds, and
ratios are medians of the ratios within a round. Compilation never counts in a rate and always in a wall clock, which
starts with the process, imports included, and finds an empty compilation cache.

Run it on a machine that does nothing else: it warns where the load says otherwise. Every number goes, with versions,
machine and settings, into runs/bench/COMMAND.json; bars that are not met are printed as such. PyTorch runs with as many
threads as it chooses, one a core; set OMP_NUM_THREADS to choose for it.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks import (
    ablations,
    accelerator,
    against,
    brax,
    compat,
    endtoend,
    family,
    host,
    inference,
    learning,
    memory,
    peers,
    playground,
    report,
    resets,
    same,
    start,
    sweep,
    updates,
)

COMMANDS = {
    "updates": updates,
    "endtoend": endtoend,
    "brax": brax,
    "host": host,
    "learning": learning,
    "memory": memory,
    "start": start,
    "sweep": sweep,
    "inference": inference,
    "family": family,
    "peers": peers,
    "ablations": ablations,
    "accelerator": accelerator,
    "compat": compat,
    "playground": playground,
    "resets": resets,
    "against": against,
    "same": same,
}


def main() -> None:
    """Runs one subcommand. Exit codes: 0 measured, whether bars are met or not; 1 a contestant failed; 2 usage; 130 and
    143 stopped, with its contestants."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does, it leaves through every `finally`
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        about = module.__doc__.partition(": ")[2].strip()
        command = commands.add_parser(
            name, help=about, description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        module.arguments(command)
        command.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for results and logs")
    options = parser.parse_args()
    options.logs = options.out / "logs"
    options.logs.mkdir(parents=True, exist_ok=True)
    try:
        result = COMMANDS[options.command].run(options)
    except RuntimeError as error:
        sys.exit(f"scripts/bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    report.write(result, options.out / f"{result['command']}.json")
    if result.get("failed"):
        sys.exit(1)


if __name__ == "__main__":
    main()
