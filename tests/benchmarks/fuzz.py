"""Gate randomly damaged recordings: no crash, no hang, no output on stderr, bounded memory.

    python -m tests.benchmarks.fuzz [--cases 10000] [--seeds FOLDER] [--first 0]

The recordings are those of `tests.zoo`, or all files of a folder. Case *n* is always the same
damage to the same recording. A worker process gates one case after the other; this process
supervises it, and replaces it if it dies, takes too long or uses too much memory.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

MAX_SECONDS = 10.0
MAX_MEMORY_MB = 300.0

IMPLAUSIBLE_NUMBERS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\1\0\0\0",
    b"\0\4\0\4",
)
"""Values that are implausible in most fields of a header."""


def damage(content: bytes, number: int) -> bytes:
    """Return `content` with the damage of case `number`."""
    rng = np.random.default_rng(number)
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not damaged:
            break
        # Half of the damage is at the beginning, because most faults are in reading headers.
        end = len(damaged) if rng.random() < 0.5 else min(len(damaged), 256)
        position = int(rng.integers(end))
        damage_type = rng.integers(7)
        if damage_type == 0:
            damaged[position] ^= 1 << rng.integers(8)
        elif damage_type == 1:
            damaged[position : position + 4] = IMPLAUSIBLE_NUMBERS[
                rng.integers(len(IMPLAUSIBLE_NUMBERS))
            ]
        elif damage_type == 2:
            damaged[position : position + 4] = IMPLAUSIBLE_NUMBERS[
                rng.integers(len(IMPLAUSIBLE_NUMBERS))
            ][::-1]
        elif damage_type == 3:
            length = int(rng.integers(1, 200))
            damaged[position : position + length] = rng.bytes(length)
        elif damage_type == 4:
            del damaged[int(rng.integers(len(damaged))) :]
        elif damage_type == 5:
            del damaged[position : position + int(rng.integers(1, 100))]
        else:
            damaged[position:position] = damaged[position : position + int(rng.integers(1, 2000))]
    return bytes(damaged)


def gate_damaged(path: Path, output: Path, number: int) -> str:
    """Gate one damaged recording; return `gated`, `warned` or `refused`, or raise."""
    from noisegate_cli import GateSettings, NoisegateError, analyze_file, gate_file

    threshold = "auto" if number % 8 == 0 else 0.03
    settings = GateSettings(threshold=threshold, nonfinite="zero" if number % 2 else "refuse")
    try:
        if number % 16 == 0:
            analyze_file(path, settings)
        result = gate_file(path, output, settings, force=True)
    except NoisegateError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {error}") from error
        return "refused"
    return "warned" if result.warnings else "gated"


def _work(pipe: Connection, folder: Path) -> None:
    stderr_path = folder / "talk"
    os.dup2(os.open(stderr_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    while True:
        seed, number = pipe.recv()
        path = folder / f"in{seed.suffix}"
        path.write_bytes(damage(seed.read_bytes(), number))
        before = stderr_path.stat().st_size
        started = time.perf_counter()
        try:
            # Some outputs are in the container of the input.
            output = folder / ("out.wav" if number % 3 else f"out{seed.suffix}")
            if output.suffix not in (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".wv", ".caf"):
                output = folder / "out.flac"
            outcome = gate_damaged(path, output, number)
        except Exception as error:
            outcome = f"FAULT {type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        if stderr_path.stat().st_size > before:
            outcome = f"FAULT talk: {stderr_path.read_text(errors='replace')[before:][:200]}"
        partial_files = [path.name for path in folder.iterdir() if path.name.endswith(".partial")]
        if partial_files:
            outcome = f"FAULT left {partial_files}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send((outcome, seconds, peak))


class Worker:
    """Worker process that gates one case after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="ngate-fuzz-")
        self.pipe, other = context.Pipe()
        self._process = context.Process(
            target=_work, args=(other, Path(self._folder.name)), daemon=True
        )
        self._process.start()
        other.close()

    def run(self, seed: Path, number: int) -> tuple[str, float, float]:
        """Return the outcome of a case, its time in seconds, and the worker's peak memory in MB."""
        self.pipe.send((seed, number))
        # The first case waits for the imports.
        if not self.pipe.poll(MAX_SECONDS + 10):
            return "FAULT hangs", MAX_SECONDS, 0.0
        try:
            outcome, seconds, peak = self.pipe.recv()
        except EOFError:
            self._process.join()
            return f"FAULT died with {self._process.exitcode}", 0.0, 0.0
        return str(outcome), float(seconds), float(peak)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def main() -> int:
    """Run the cases; return 1 if any of them fails."""
    parser = argparse.ArgumentParser(description="Gate damaged recordings.")
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seeds", type=Path, help="a folder of recordings to damage")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ngate-seeds-") as seed_folder:
        if arguments.seeds:
            files = [path for path in arguments.seeds.rglob("*") if path.is_file()]
            seeds = sorted(path for path in files if path.stat().st_size < 1 << 20)
        else:
            from tests.zoo import make_zoo

            seeds = list(make_zoo(Path(seed_folder)))
        return _run(seeds, range(arguments.first, arguments.first + arguments.cases))


def _run(seeds: list[Path], numbers: range) -> int:
    counts: Counter[str] = Counter()
    faults: list[str] = []
    slowest, largest = (0.0, ""), (0.0, "")
    worker = Worker()
    started = time.perf_counter()
    for number in numbers:
        seed = seeds[number % len(seeds)]
        outcome, seconds, peak = worker.run(seed, number)
        case = f"{number} ({seed.name})"
        if seconds > MAX_SECONDS:
            outcome = f"FAULT {seconds:.1f} s"
        if peak > MAX_MEMORY_MB:
            outcome = f"FAULT {peak:.0f} MB"
        slowest, largest = max(slowest, (seconds, case)), max(largest, (peak, case))
        counts[outcome.split()[0]] += 1
        if outcome.startswith("FAULT"):
            faults.append(f"{case}: {outcome}")
            print(faults[-1], flush=True)
            worker.end()
            worker = Worker()
        if sys.stderr.isatty() and number % 100 == 0:
            print(f"{number} {dict(counts)}", end="\r", file=sys.stderr, flush=True)
    worker.end()
    print(f"{len(numbers)} cases of {len(seeds)} recordings: {dict(counts)}")
    print(f"slowest {slowest[0]:.2f} s: {slowest[1]}; largest {largest[0]:.0f} MB: {largest[1]}")
    print(f"{len(faults)} faults in {time.perf_counter() - started:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
