"""Compare the speed of two versions of ngate.

    python -m tests.benchmarks.compare OLD [NEW] [--rounds N] [--max-ratio R] [--only NAME]

OLD and NEW are source trees, or Python executables of environments in which ngate is installed. NEW
is this source tree by default. The commands of both versions run in turn. The figures are minima of
the CPU time (user and system) of whole processes, with start-up and worker processes. Other
processes on the machine influence these least. With `--max-ratio`, the exit status is 1 if the
ratio of new to old is larger for any command.
"""

import argparse
import compileall
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench import HOUR, MINUTE, Bench, print_table

ROOT = Path(__file__).parents[2]
NULL = subprocess.DEVNULL
OUT = "out.wav"
TREE_FILES = 200


@dataclass(frozen=True)
class Version:
    """A version of ngate."""

    argv: Sequence[str]
    env: Mapping[str, str]

    @classmethod
    def from_path(cls, path: Path) -> "Version":
        """Return the version of a source tree or of a Python executable."""
        # Without cached bytecode, each process would compile the modules again.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        if not path.is_dir():
            return cls([str(path), "-m", "noisegate_cli"], env)
        compileall.compile_dir(path / "noisegate_cli", quiet=1)
        return cls([sys.executable, "-m", "noisegate_cli"], env | {"PYTHONPATH": str(path)})

    def measure(self, arguments: Sequence[str], folder: Path) -> float:
        """Run a command in a folder and return its CPU time in seconds."""
        (folder / OUT).unlink(missing_ok=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
        before = _children_seconds()
        subprocess.run(
            [*self.argv, *arguments],
            cwd=folder, env=self.env, stdin=NULL, stdout=NULL, stderr=NULL, check=True,
        )  # fmt: skip
        return _children_seconds() - before


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def make_commands(folder: Path) -> dict[str, list[str]]:
    """Make the recordings and return the arguments of each command."""
    bench = Bench(folder, rounds=1, scale=1, full=False)
    hour, minutes, short = (bench.recording("speech", s) for s in (HOUR, 10 * MINUTE, 3))
    flac = bench.recording("speech", 10 * MINUTE, ".flac")
    tree = Path(bench.recording("tree/speech", 3, rate=16_000)).parent
    first = next((folder / tree).iterdir())
    for number in range(1, TREE_FILES):
        shutil.copy(first, folder / tree / f"{number}.wav")
    gate = ["gate", "-q", "-f", "-o", OUT]
    batch = ["batch", "-q", "-j", "2", "-o", "out", str(tree)]
    return {
        "help": ["--help"],
        "gate -t, 1 h": [*gate, "-t", "0.03", hour],
        "gate, 1 h": [*gate, hour],
        "gate --spectral, 10 min": [*gate, "--spectral", minutes],
        "analyze, 1 h": ["analyze", "-q", hour],
        "gate -t, 3 s": [*gate, "-t", "0.03", short],
        "gate, 3 s": [*gate, short],
        "gate FLAC, 10 min": [*gate, "-t", "0.03", flac],
        f"batch -t, {TREE_FILES} files of 3 s": [*batch, "-t", "0.03"],
        f"batch, {TREE_FILES} files of 3 s": batch,
    }


def main() -> int:
    """Compare two versions; return 1 if the new one is too slow."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare")
    parser.add_argument("old", type=Path, help="source tree or Python executable")
    parser.add_argument("new", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--rounds", type=int, default=7, help="minima of so many runs [7]")
    parser.add_argument("--max-ratio", type=float, help="the largest accepted ratio")
    parser.add_argument("--only", default="", metavar="NAME", help="commands whose name begins so")
    options = parser.parse_args()
    versions = [Version.from_path(path.absolute()) for path in (options.old, options.new)]
    rows, ratios = [], []
    with tempfile.TemporaryDirectory(prefix="ngate-compare-") as temporary:
        folder = Path(temporary)
        for name, arguments in make_commands(folder).items():
            if not name.startswith(options.only):
                continue
            print(name, file=sys.stderr)
            rounds = [
                [version.measure(arguments, folder) for version in versions]
                for _ in range(options.rounds + 1)
            ]
            old, new = (min(times) for times in zip(*rounds[1:], strict=True))
            ratios.append(new / old)
            rows.append([name, f"{old:.3f} s", f"{new:.3f} s", f"{new / old:.3f}"])
    print_table(["command", "old", "new", "new / old"], rows)
    return int(options.max_ratio is not None and max(ratios) > options.max_ratio)


if __name__ == "__main__":
    sys.exit(main())
