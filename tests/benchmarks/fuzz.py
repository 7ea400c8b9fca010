"""Damage recordings at random and gate them: nothing may crash, hang, talk or eat memory.

    python -m tests.benchmarks.fuzz [--cases 10000] [--seeds FOLDER] [--first 0]

The recordings are those of `tests.zoo`, or all in a folder. Case *n* is always the same damage to
the same recording. A worker gates case after case, watched by this process; it is replaced when it
dies, takes too long or grows.
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

MOST_SECONDS = 10.0
MOST_MEGABYTES = 300.0

LIES = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\1\0\0\0",
    b"\0\4\0\4",
)
"""Numbers that headers should not be believed."""


def damage(content: bytes, number: int) -> bytes:
    """Return `content` with the damage of case `number`."""
    rng = np.random.default_rng(number)
    octets = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not octets:
            break
        # Headers are where the trouble is.
        end = len(octets) if rng.random() < 0.5 else min(len(octets), 256)
        at = int(rng.integers(end))
        kind = rng.integers(7)
        if kind == 0:
            octets[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            octets[at : at + 4] = LIES[rng.integers(len(LIES))]
        elif kind == 2:
            octets[at : at + 4] = LIES[rng.integers(len(LIES))][::-1]
        elif kind == 3:
            length = int(rng.integers(1, 200))
            octets[at : at + length] = rng.bytes(length)
        elif kind == 4:
            del octets[int(rng.integers(len(octets))) :]
        elif kind == 5:
            del octets[at : at + int(rng.integers(1, 100))]
        else:
            octets[at:at] = octets[at : at + int(rng.integers(1, 2000))]
    return bytes(octets)


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
    talk = folder / "talk"
    os.dup2(os.open(talk, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    while True:
        seed, number = pipe.recv()
        path = folder / f"in{seed.suffix}"
        path.write_bytes(damage(seed.read_bytes(), number))
        before = talk.stat().st_size
        started = time.perf_counter()
        try:
            # Some outputs are in the container of the input.
            output = folder / ("out.wav" if number % 3 else f"out{seed.suffix}")
            if output.suffix not in (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".wv", ".caf"):
                output = folder / "out.flac"
            what = gate_damaged(path, output, number)
        except Exception as error:
            what = f"FAULT {type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        if talk.stat().st_size > before:
            what = f"FAULT talk: {talk.read_text(errors='replace')[before:][:200]}"
        left = [p.name for p in folder.iterdir() if p.name.endswith(".partial")]
        if left:
            what = f"FAULT left {left}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send((what, seconds, peak))


class Worker:
    """A process that gates one case after the other."""

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
        """Return what became of a case, its seconds, and the megabytes of the worker."""
        self.pipe.send((seed, number))
        # The first case waits for the imports.
        if not self.pipe.poll(MOST_SECONDS + 10):
            return "FAULT hangs", MOST_SECONDS, 0.0
        try:
            what, seconds, peak = self.pipe.recv()
        except EOFError:
            self._process.join()
            return f"FAULT died with {self._process.exitcode}", 0.0, 0.0
        return str(what), float(seconds), float(peak)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def main() -> int:
    """Run the cases; return 1 if any was at fault."""
    parser = argparse.ArgumentParser(description="Gate damaged recordings.")
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seeds", type=Path, help="a folder of recordings to damage")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ngate-seeds-") as made:
        if arguments.seeds:
            found = [p for p in arguments.seeds.rglob("*") if p.is_file()]
            seeds = sorted(p for p in found if p.stat().st_size < 1 << 20)
        else:
            from tests.bombs import BOMBS, make_bomb
            from tests.zoo import make_zoo

            seeds = list(make_zoo(Path(made)))
            seeds += [make_bomb(Path(made) / name) for name in BOMBS]
        return _run(seeds, range(arguments.first, arguments.first + arguments.cases))


def _run(seeds: list[Path], numbers: range) -> int:
    counts: Counter[str] = Counter()
    faults: list[str] = []
    slowest, largest = (0.0, ""), (0.0, "")
    worker = Worker()
    started = time.perf_counter()
    for number in numbers:
        seed = seeds[number % len(seeds)]
        what, seconds, peak = worker.run(seed, number)
        case = f"{number} ({seed.name})"
        if seconds > MOST_SECONDS:
            what = f"FAULT {seconds:.1f} s"
        if peak > MOST_MEGABYTES:
            what = f"FAULT {peak:.0f} MB"
        slowest, largest = max(slowest, (seconds, case)), max(largest, (peak, case))
        counts[what.split()[0]] += 1
        if what.startswith("FAULT"):
            faults.append(f"{case}: {what}")
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
