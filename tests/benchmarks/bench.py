"""Measure what ngate costs, side by side with a bare copy and the other gates that are installed.

    python -m tests.benchmarks.bench [--quick] [--only speed,stereo,startup,memory,batch]

All times are wall times of whole processes, from start to exit. The commands of a table run in
turn (A B C A B C ...), after a round that doesn't count; the times are medians. The recordings are
made here, always the same, and take up to 4 GB of disk. Markdown comes out on stdout.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from tests.benchmarks.others import THRESHOLD, THRESHOLD_DB

PYTHON = sys.executable
NGATE = shutil.which("ngate", path=str(Path(PYTHON).parent)) or ""
OTHERS = str(Path(__file__).with_name("others.py"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
OUT = "out.wav"
OUT_TREE = "out"
TREE = "recordings"
COPY, GATE = "bare libsndfile copy", f"`ngate gate -t {THRESHOLD}`"
BATCH_FILES = 200
STARTUP_RUNS = 4
"""So many times the rounds: a start-up takes little time, and little disturbs it much."""

PHRASE_DB, NOISE_DB, PAUSE_DB = -20.0, -55.0, -50.0
"""RMS of phrases and of the noise, and where this file draws the line between them, dBFS."""

Times = dict[str, list[float]]


class CommandError(Exception):
    """A command failed that must not."""


@dataclass(frozen=True)
class Command:
    """What a row of a table runs."""

    name: str
    argv: Sequence[str]
    source: str = ""
    """The recording that it gates, if it does."""
    optional: bool = False
    """Whether the rest goes on when it fails."""


@dataclass
class Bench:
    """Where and how to measure, and what came out."""

    folder: Path
    rounds: int
    quick: bool
    full: bool
    results: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def seconds(self, usual: float) -> float:
        """Return the length of a recording that usually is as long as `usual`."""
        return usual / 10 if self.quick else usual

    def mono(self, usual: float) -> str:
        """Make a mono recording, 16 bits at 44.1 kHz, and return its name."""
        return self.recording(f"mono_{span(self.seconds(usual), '')}.wav", self.seconds(usual))

    def recording(
        self,
        name: str,
        seconds: float,
        rate: int = 44100,
        channels: int = 1,
        subtype: str = "PCM_16",
    ) -> str:
        """Make a recording, unless it is there from an earlier run, and return its name."""
        path = self.folder / name
        if not path.exists():
            part = path.with_stem(f"{path.stem}-part")
            with sf.SoundFile(part, "w", rate, channels, subtype) as file:
                for minute in range(math.ceil(seconds / 60)):
                    rng = np.random.default_rng([zlib.crc32(name.encode()), minute])
                    voice = speech(rng, rate, round(rate * min(60, seconds - 60 * minute)))
                    block = np.outer(voice, np.linspace(1, 0.7, channels, dtype=np.float32))
                    block += db(NOISE_DB) * rng.standard_normal(block.shape, np.float32)
                    file.write(block)
            part.rename(path)
        return name

    def measure(self, section: str, commands: list[Command], rounds: int) -> dict[str, float]:
        """Time commands in turn; return the levels, dBFS, that they leave in the pauses."""
        times: Times = {c.name: [] for c in commands}
        levels: dict[str, float] = {}
        for number in range(rounds + 1):
            for command in [c for c in commands if c.name in times]:
                (self.folder / OUT).unlink(missing_ok=True)
                shutil.rmtree(self.folder / OUT_TREE, ignore_errors=True)
                print(f"{section} {number}/{rounds}: {command.name}", file=sys.stderr)
                try:
                    seconds = self.run(command.argv)
                except CommandError as error:
                    if not command.optional:
                        raise
                    print(f"Left out: {error}.\n")
                    del times[command.name]
                    continue
                if number:
                    times[command.name].append(seconds)
                elif command.source and (self.folder / OUT).exists():
                    levels[command.name] = self.pause_level(command.source)
        self.results[section] = times
        return levels

    def run(self, argv: Sequence[str]) -> float:
        """Run a command among the recordings and return the seconds that it took."""
        null = subprocess.DEVNULL
        started = perf_counter()
        status = subprocess.run(
            argv,
            cwd=self.folder,
            env=ENVIRONMENT,
            stdin=null,
            stdout=null,
            stderr=null,
            check=False,
        ).returncode
        seconds = perf_counter() - started
        if status:
            raise CommandError(f"{shown(argv)} ended with status {status}")
        return seconds

    def peak(self, argv: Sequence[str]) -> float:
        """Run a command and return the most memory that one of its processes held, in MB."""
        (self.folder / OUT).unlink(missing_ok=True)
        print(f"memory: {shown(argv)}", file=sys.stderr)
        wrapped = [PYTHON, OTHERS, "peak", *argv]
        done = subprocess.run(
            wrapped, cwd=self.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise CommandError(f"{shown(argv)} failed")
        return int(done.stdout) / 1e6

    def pause_level(self, source: str) -> float:
        """Return the usual level of the last output where the first minute of `source` pauses."""
        before, after = (frame_levels(self.folder / name) for name in (source, OUT))
        count = min(len(before), len(after))
        return float(np.median(after[:count][before[:count] < PAUSE_DB]))


def speech(rng: np.random.Generator, rate: int, length: int) -> NDArray[np.float32]:
    """Return phrases of 1 to 4 s in syllables, four a second, and pauses of 0.3 to 1.5 s."""
    harmonics = np.arange(1, 21)
    turns = np.arange(1024)[:, None] / 1024 * harmonics + rng.random(20)
    cycle = (np.cos(2 * np.pi * turns) / harmonics).sum(axis=1).astype(np.float32)
    out = np.zeros(length, np.float32)
    start = 0
    while start < length:
        t = np.arange(min(int(rng.uniform(1, 4) * rate), length - start), dtype=np.float32) / rate
        phase = rng.uniform(90, 220) * t + 2 * np.sin(8 * t)
        sound = cycle[(phase * 1024).astype(np.int32) % 1024]
        sound += 0.3 * rng.standard_normal(len(t), np.float32)
        sound *= 0.15 + 0.85 * np.sin(4 * np.pi * t) ** 2
        out[start : start + len(t)] = sound * (db(PHRASE_DB) / np.sqrt(np.mean(sound**2)))
        start += len(t) + int(rng.uniform(0.3, 1.5) * rate)
    return out


def frame_levels(path: Path) -> NDArray[np.float64]:
    """Return the level of each 20th of a second in the first minute, dBFS."""
    with sf.SoundFile(path) as file:
        samples, length = file.read(60 * file.samplerate, always_2d=True), file.samplerate // 20
    frames = samples[: len(samples) // length * length, 0].reshape(-1, length)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(np.mean(frames**2, axis=1)))


def gates(source: str, bits: int, optional: bool = True) -> list[Command]:
    """Return the copy, ngate, and the gates that stream, each from `source` to OUT."""
    agate = f"agate=threshold={THRESHOLD}"
    curve = f"-inf,{THRESHOLD_DB},-inf,{THRESHOLD_DB + 0.1:.1f},{THRESHOLD_DB + 0.1:.1f}"
    ffmpeg = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, "-af", agate]
    sox = ["sox", "-D", source, OUT, "compand", ".005,.1", curve, "0", "-90", ".005"]
    commands = [
        Command(COPY, [PYTHON, OTHERS, "copy", source, OUT], source),
        Command(GATE, [NGATE, "gate", "-t", str(THRESHOLD), source, "-o", OUT], source),
        Command("`ngate gate`", [NGATE, "gate", source, "-o", OUT], source),
        Command("`ngate analyze`", [NGATE, "analyze", source], source),
    ]
    if shutil.which("ffmpeg"):
        ffmpeg += ["-c:a", f"pcm_s{bits}le", OUT]
        commands.append(Command(f"ffmpeg `{agate}`", ffmpeg, source, optional))
    if shutil.which("sox"):
        commands.append(Command("SoX `compand`", sox, source, optional))
    return commands + scripts(source, {"pedalboard": "pedalboard `NoiseGate`"})


def scripts(source: str, names: dict[str, str], suffix: str = "") -> list[Command]:
    """Return the gates in others.py that are installed."""
    return [
        Command(name + suffix, [PYTHON, OTHERS, module, source, OUT], source, optional=True)
        for module, name in names.items()
        if importlib.util.find_spec(module)
    ]


def speed(bench: Bench) -> None:
    """One hour of speech through everything."""
    long, short, tiny = (bench.seconds(s) for s in (3600, 600, 5))
    names = {"noisereduce": "noisereduce, stationary", "librosa": "librosa STFT mask"}
    commands = gates(bench.mono(3600), 16)
    mark = f", from {span(short)}"
    if bench.full:
        commands += scripts(bench.mono(3600), names)
    else:
        commands += scripts(bench.mono(600), names, mark)
        commands += scripts(bench.mono(5), names, f", {span(tiny)}")
    levels = bench.measure("speed", commands, bench.rounds)
    times = bench.results["speed"]
    for name in [n for n in times if n.endswith(mark)]:
        small = times.pop(name.removesuffix(mark) + f", {span(tiny)}", None)
        large = times.pop(name)
        if small:
            rise = (long - tiny) / (short - tiny)
            times[name] = [a + (b - a) * rise for a, b in zip(small, large, strict=True)]
    print(f"### Speed: {span(long)} of speech, WAV, mono, 16 bits, 44.1 kHz\n")
    speed_table(times, levels, long)
    if not bench.full:
        print(
            f"“from {span(short)}”: these hold whole recordings in memory, many GB for an hour. "
            f"They ran on {span(short)} and on {span(tiny)}; "
            f"their time for {span(long)} lies on the line through both.\n"
        )


def stereo(bench: Bench) -> None:
    """Two channels of 24 bits."""
    seconds = bench.seconds(600)
    source = bench.recording(f"stereo_{span(seconds, '')}.wav", seconds, 48000, 2, "PCM_24")
    levels = bench.measure("stereo", gates(source, 24), bench.rounds)
    print(f"### Speed: {span(seconds)} of speech, WAV, stereo, 24 bits, 48 kHz\n")
    speed_table(bench.results["stereo"], levels, seconds)


def speed_table(times: Times, levels: dict[str, float], seconds: float) -> None:
    """Print times, their ratios, and what each command left in the pauses."""
    head = ["", "Time", "Range", "Real time", "÷ copy", f"÷ {GATE}", "Level of the pauses"]
    rows = []
    for name, values in times.items():
        middle = statistics.median(values)
        level = f"{levels[name]:.0f} dBFS".replace("-inf dBFS", "silence") if name in levels else ""
        ratios = [ratio(values, times[base]) for base in (COPY, GATE)]
        rows.append([name, *spread(values), f"{seconds / middle:.0f} ×", *ratios, level])
    table(head, rows)


def startup(bench: Bench) -> None:
    """How long it takes to do next to nothing."""
    source = bench.mono(5)
    bases = ["import typer, rich.console", "import numpy, soundfile, typer, rich.progress"]
    groups = [
        [["--help"], ["--version"]],
        [["gate", "-t", str(THRESHOLD), source, "-o", OUT], ["gate", source, "-o", OUT]],
    ]
    argvs = [
        [[PYTHON, "-c", base], *([NGATE, *arguments] for arguments in group)]
        for base, group in zip(bases, groups, strict=True)
    ]
    commands = [Command(f"`{shown(argv)}`", argv) for group in argvs for argv in group]
    bench.measure("startup", commands, bench.rounds * STARTUP_RUNS)
    times = bench.results["startup"]
    rows = []
    for group in argvs:
        names = [f"`{shown(argv)}`" for argv in group]
        rows += [[n, *spread(times[n]), ratio(times[n], times[names[0]])] for n in names]
    print("### Start-up\n")
    table(["", "Time", "Range", "÷ the imports alone"], rows)


def memory(bench: Bench) -> None:
    """Whether memory grows with the recording."""
    sources = [bench.mono(600), bench.mono(4 * 3600)]
    rows = []
    results: dict[str, list[float]] = {}
    for options in (["gate", "-t", str(THRESHOLD)], ["gate"], ["analyze"]):
        name = f"`{shown(['ngate', *options])}`"
        output = [] if "analyze" in options else ["-o", OUT]
        peaks = [bench.peak([NGATE, *options, source, *output]) for source in sources]
        results[name] = peaks
        rows.append([name, *(f"{p:.1f} MB" for p in peaks), f"{peaks[1] / peaks[0]:.2f} ×"])
    bench.results["memory"] = results
    print("### Peak memory of the largest process, mono, 16 bits, 44.1 kHz\n")
    table(["", *(span(bench.seconds(s)) for s in (600, 4 * 3600)), "Ratio"], rows)


def batch(bench: Bench) -> None:
    """What a second process brings."""
    seconds, count = bench.seconds(30), BATCH_FILES
    tree = f"{TREE}_{count}x{span(seconds, '')}"
    (bench.folder / tree).mkdir(exist_ok=True)
    for number in range(count):
        bench.recording(f"{tree}/{number:03}.flac", seconds)
    argvs = [[NGATE, "batch", tree, "-o", OUT_TREE, "--jobs", str(jobs)] for jobs in (1, 2)]
    commands = [Command(f"`ngate batch --jobs {argv[-1]}`", argv) for argv in argvs]
    bench.measure("batch", commands, bench.rounds)
    times = bench.results["batch"]
    one = times[commands[0].name]
    rows = [
        [n, *spread(v), f"{count / statistics.median(v):.1f}", ratio(one, v)]
        for n, v in times.items()
    ]
    print(f"### Batch: {count} FLAC files of {span(seconds)}, mono, 16 bits, 44.1 kHz\n")
    table(["", "Time", "Range", "Files/s", "Times as fast"], rows)


SECTIONS = {f.__name__: f for f in (speed, stereo, startup, memory, batch)}


def db(level: float) -> np.float32:
    """Return the linear value of a level in dB."""
    return np.float32(10 ** (level / 20))


def span(seconds: float, space: str = " ") -> str:
    """Return a length in the largest unit in which it is whole."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{space}{unit}"
    return f"{seconds:g}{space}s"


def shown(argv: Sequence[str]) -> str:
    """Return a command as one types it, without the places where programs are."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in argv]
    if argv[0] == PYTHON:
        words[0] = "python"
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def spread(values: list[float]) -> list[str]:
    """Return the median and the range of seconds."""
    low, middle, high = min(values), statistics.median(values), max(values)
    digits = 3 if middle < 10 else 1
    return [f"{middle:.{digits}f} s", f"{low:.{digits}f}–{high:.{digits}f}"]


def ratio(values: list[float], base: list[float]) -> str:
    """Return by how many times the median exceeds another."""
    return f"{statistics.median(values) / statistics.median(base):.2f} ×"


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in [head, ["---"] + ["---:"] * (len(head) - 1), *rows]:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def machine() -> dict[str, str]:
    """Return what the times depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {
        "CPU": models[0] if models else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "Python": platform.python_version(),
        "libsndfile": sf.__libsndfile_version__,
    }
    for name in ("noisegate-cli", "numpy", "soundfile", "pedalboard", "noisereduce", "librosa"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    for tool, option in (("ffmpeg", "-version"), ("sox", "--version")):
        if shutil.which(tool):
            words = subprocess.run([tool, option], capture_output=True, text=True, check=False)
            found[tool] = next(w for w in words.stdout.split() if any(c.isdigit() for c in w))
        else:
            found[tool] = "not installed"
    return found


@contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """Give a folder for the recordings; they stay in `keep`."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        (keep / OUT).unlink(missing_ok=True)
        shutil.rmtree(keep / OUT_TREE, ignore_errors=True)
    else:
        with tempfile.TemporaryDirectory(prefix="ngate-bench-") as folder:
            yield Path(folder)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, one round")
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="of which medians are taken [5]")
    parser.add_argument("--full", action="store_true", help="give the hour to all, takes many GB")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the recordings here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers here too")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no section is named {', '.join(sorted(unknown))}")
    if not NGATE:
        sys.exit("ngate isn't installed beside this Python: run `make bench`")
    rounds = max(1, options.rounds or (1 if options.quick else 5))
    command = parser.prog
    command += " --quick" * options.quick + " --full" * options.full
    command += f" --only {options.only}" if options.only else ""
    command += f" --rounds {rounds}" if options.rounds else ""
    found = machine()
    print(f"`{command}`: wall times of whole processes, median of {rounds}.\n")
    print(", ".join(f"{name} {value}" for name, value in found.items()) + ".\n", flush=True)
    with workplace(options.keep) as folder:
        bench = Bench(folder, rounds, options.quick, options.full)
        for name in wanted:
            try:
                SECTIONS[name](bench)
            except CommandError as error:
                sys.exit(f"{name}: {error}")
    if options.json:
        data = {"command": command, "machine": found, "results": bench.results}
        options.json.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
