"""Measure the time and memory of ngate, of a plain copy and of the other installed gates.

    python -m tests.benchmarks.bench [--quick] [--only SECTION,...]

All times are wall times of whole processes. The commands of a table run in turn (A B C A B C ...),
after one round that is not counted; ratios are ratios of medians. The recordings are generated,
are always the same, and take up to 4 GB of disk space. Markdown is printed on stdout, progress on
stderr.

With enough memory, TMPDIR=/dev/shm excludes the disk: ext4, for example, creates files slowly for
some minutes after many files have been removed, as happens between the rounds of a batch.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
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
NULL = subprocess.DEVNULL
ENV = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
OPTIONAL = ("ffmpeg", "sox", "pedalboard", "noisereduce", "librosa")
OUT, OUT_TREE = "out.wav", "out"
COPY, GATE = "bare libsndfile copy", f"`ngate gate -t {THRESHOLD}`"
SPECTRAL = "`ngate gate --spectral`"
RATE = 44100
HOUR, MINUTE = 3600, 60
BATCH_FILES, CORPUS_FILES, RESUMED_FILES = 200, 2000, 20_000
CURVE = f"-inf,{THRESHOLD_DB},-inf,{THRESHOLD_DB + 0.1:.1f},{THRESHOLD_DB + 0.1:.1f}"
"""The transfer function with which SoX's compand works as a gate."""
SPEECH_RMS, NOISE_RMS = (np.float32(10 ** (dbfs / 20)) for dbfs in (-20, -55))
"""RMS of the speech and of the noise."""

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Command:
    """A row of a table."""

    name: str
    argv: Sequence[str]
    optional: bool = False
    """Whether the benchmark continues if the command fails."""


@dataclass
class Bench:
    """Where and how to measure, and the results."""

    folder: Path
    rounds: int
    scale: float
    """Factor for all lengths."""
    full: bool
    """Whether every tool gates the longest recording, instead of an estimate of its time."""
    results: dict[str, Times] = field(default_factory=dict)

    def recording(
        self, stem: str, seconds: float, extension: str = ".wav", rate: int = RATE, bits: int = 16
    ) -> str:
        """Write a recording if it does not exist, and return its name; 24 bits are stereo."""
        seconds *= self.scale
        name = f"{stem}_{format_length(seconds).replace(' ', '')}{extension}"
        path, channels = self.folder / name, 2 if bits == 24 else 1
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part = self.folder / f"part{extension}"
            with sf.SoundFile(part, "w", rate, channels, f"PCM_{bits}") as file:
                for minute in range(math.ceil(seconds / MINUTE)):
                    rng = np.random.default_rng([zlib.crc32(name.encode()), minute])
                    voice = make_speech(rng, rate, round(rate * min(60, seconds - minute * MINUTE)))
                    block = np.outer(voice, np.linspace(1, 0.7, channels, dtype=np.float32))
                    file.write(block + NOISE_RMS * rng.standard_normal(block.shape, np.float32))
            part.rename(path)
        return name

    def clear(self) -> None:
        """Remove the outputs of the last command."""
        (self.folder / OUT).unlink(missing_ok=True)
        shutil.rmtree(self.folder / OUT_TREE, ignore_errors=True)

    def run(self, argv: Sequence[str], stdout: int = NULL) -> bytes:
        """Run a command among the recordings; return its output if `stdout` is a pipe."""
        return subprocess.run(
            argv, cwd=self.folder, env=ENV, stdin=NULL, stdout=stdout, stderr=NULL, check=True
        ).stdout

    def measure(self, section: str, commands: list[Command]) -> Times:
        """Time commands in turn."""
        times: Times = {c.name: [] for c in commands}
        for number in range(self.rounds + 1):
            for command in [c for c in commands if c.name in times]:
                print(f"{section} {number}/{self.rounds}: {command.name}", file=sys.stderr)
                self.clear()
                started = perf_counter()
                try:
                    self.run(command.argv)
                except subprocess.CalledProcessError as error:
                    if not command.optional:
                        raise
                    print(f"{command.name} is not copied: it ended with {error.returncode}.\n")
                    del times[command.name]
                    continue
                if number:
                    times[command.name].append(perf_counter() - started)
        self.results[section] = times
        return dict(times)


def make_speech(rng: np.random.Generator, rate: int, length: int) -> NDArray[np.float32]:
    """Return phrases of 1 to 4 s with four syllables a second, and pauses of 0.3 to 1.5 s."""
    harmonics = np.arange(1, 21)
    phases = np.arange(1024)[:, None] / 1024 * harmonics + rng.random(20)
    cycle = (np.cos(2 * np.pi * phases) / harmonics).sum(axis=1).astype(np.float32)
    output = np.zeros(length, np.float32)
    start = 0
    while start < length:
        t = np.arange(min(int(rng.uniform(1, 4) * rate), length - start), dtype=np.float32) / rate
        phase = rng.uniform(90, 220) * t + 2 * np.sin(8 * t)
        sound = cycle[np.floor(phase * 1024).astype(np.int32) % 1024]
        sound += 0.3 * rng.standard_normal(len(t), np.float32)
        sound *= 0.15 + 0.85 * np.sin(4 * np.pi * t) ** 2
        output[start : start + len(t)] = sound * (SPEECH_RMS / np.sqrt(np.mean(sound**2)))
        start += len(t) + int(rng.uniform(0.3, 1.5) * rate)
    return output


def gate_commands(source: str, bits: int) -> list[Command]:
    """Return the commands of the copy, ngate, and the streaming gates, from `source` to OUT."""
    agate = f"agate=threshold={THRESHOLD}"
    ffmpeg = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, "-af", agate]
    ffmpeg += ["-c:a", f"pcm_s{bits}le", OUT]
    sox = ["sox", "-D", source, OUT, "compand", ".005,.1", CURVE, "0", "-90", ".005"]
    commands = [
        Command(COPY, [PYTHON, OTHERS, "copy", source, OUT]),
        Command(GATE, [NGATE, "gate", "-t", str(THRESHOLD), source, "-o", OUT]),
        Command("`ngate gate`", [NGATE, "gate", source, "-o", OUT]),
        Command("`ngate analyze --json`", [NGATE, "analyze", source, "--json"]),
        Command(f"ffmpeg `{agate}`", ffmpeg, optional=True),
        Command("SoX `compand`", sox, optional=True),
    ]
    commands = [c for c in commands if shutil.which(c.argv[0])]
    return commands + installed_scripts({"pedalboard": "pedalboard `NoiseGate`"}, source)


def installed_scripts(names: dict[str, str], source: str) -> list[Command]:
    """Return the commands of the gates in others.py that are installed."""
    return [
        Command(name, [PYTHON, OTHERS, module, source, OUT, *options], optional=True)
        for module, *options, name in ([*key.split(), name] for key, name in names.items())
        if importlib.util.find_spec(module)
    ]


def speed(bench: Bench) -> None:
    """Measure all gates on one hour of speech."""
    in_memory_tools = {"noisereduce": "noisereduce", "librosa": "librosa STFT mask"}
    lengths = [seconds * bench.scale for seconds in (5, 600, HOUR)]
    tiny, short, long = map(format_length, lengths)
    source = bench.recording("mono", HOUR)
    commands = gate_commands(source, 16)
    if bench.full:
        commands += installed_scripts(in_memory_tools, source)
    else:
        for seconds, length in ((600, short), (5, tiny)):
            names = {module: f"{name}, from {length}" for module, name in in_memory_tools.items()}
            commands += installed_scripts(names, bench.recording("mono", seconds))
    times = bench.measure("speed", commands)
    slope_ratio = (lengths[2] - lengths[0]) / (lengths[1] - lengths[0])
    for name in in_memory_tools.values():
        large = times.pop(f"{name}, from {short}", [])
        small = times.pop(f"{name}, from {tiny}", [])
        if large and small:
            times[f"{name}, from {short}"] = [
                a + (b - a) * slope_ratio for a, b in zip(small, large, strict=True)
            ]
    print(f"### Speed: {long} of speech, WAV, mono, 16 bits, 44.1 kHz\n")
    print_times(times, [COPY, GATE], "× real time", lengths[2])
    if not bench.full:
        print(
            f"“From {short}”: these hold whole recordings in memory, many GB for an hour. They ran "
            f"on {short} and on {tiny}; {long} is an estimate, on the line through both.\n"
        )


def stereo(bench: Bench) -> None:
    """Measure all gates on two channels of 24 bits."""
    source = bench.recording("stereo", 600, rate=48000, bits=24)
    times = bench.measure("stereo", gate_commands(source, 24))
    print(
        f"### Speed: {format_length(600 * bench.scale)} of speech, WAV, stereo, 24 bits, 48 kHz\n"
    )
    print_times(times, [COPY, GATE], "× real time", 600 * bench.scale)


def spectral(bench: Bench) -> None:
    """Measure the tools that also reduce the noise under the speech."""
    source = bench.recording("mono", 600)
    denoise = "afftdn=nr=20:nf=-50"
    commands = [Command(SPECTRAL, [NGATE, "gate", "--spectral", source, "-o", OUT])]
    if ffmpeg := shutil.which("ffmpeg"):
        argv = [ffmpeg, "-nostdin", "-v", "error", "-y", "-i", source, "-af", denoise, OUT]
        commands.append(Command(f"ffmpeg `{denoise}`", argv, optional=True))
    names = {"noisereduce": "noisereduce", "noisereduce stationary": "noisereduce, stationary"}
    commands += installed_scripts(names, source)
    times = bench.measure("spectral", commands)
    length = 600 * bench.scale
    print(f"### Spectral: {format_length(length)} of speech, WAV, mono, 16 bits, 44.1 kHz\n")
    print_times(times, [SPECTRAL], "× real time", length)


def startup(bench: Bench) -> None:
    """Measure the shortest runs, and Python with only the imports that they need."""
    source = bench.recording("mono", 5)
    gate_commands = [["gate", *auto, source, "-o", OUT] for auto in (["-t", str(THRESHOLD)], [])]
    print("### Start-up\n")
    for imports, argument_lists in (
        ("typer, rich.console", [["--help"], ["--version"]]),
        ("numpy, soundfile, typer, rich.progress", gate_commands),
    ):
        argvs = [[PYTHON, "-c", f"import {imports}"], *([NGATE, *use] for use in argument_lists)]
        commands = [Command(f"`{format_command(argv)}`", argv) for argv in argvs]
        times = bench.measure(f"startup: {imports}", commands)
        print_times(times, [commands[0].name])


def memory(bench: Bench) -> None:
    """Measure whether memory grows with the length of the recording."""
    lengths = (600, 4 * HOUR)
    peaks: dict[str, list[float]] = {}
    for options in (["gate", "-t", str(THRESHOLD)], ["gate"], ["gate", "--spectral"], ["analyze"]):
        name = f"`ngate {' '.join(options)}`"
        for source in [bench.recording("mono", seconds) for seconds in lengths]:
            print(f"memory: {name} {source}", file=sys.stderr)
            output = ["-o", OUT] if "gate" in options else []
            bench.clear()
            argv = [PYTHON, OTHERS, "peak", NGATE, *options, source, *output]
            peaks.setdefault(name, []).append(int(bench.run(argv, subprocess.PIPE)) / 1e6)
    bench.results["memory"] = peaks
    print("### Peak memory of the largest process: WAV, mono, 16 bits, 44.1 kHz\n")
    rows = [[n, f"{a:.1f} MB", f"{b:.1f} MB", f"{b / a:.2f}×"] for n, (a, b) in peaks.items()]
    print_table(["", *(format_length(seconds * bench.scale) for seconds in lengths), "Ratio"], rows)


def batch(bench: Bench) -> None:
    """Measure the gain of a second process."""
    length = format_length(30 * bench.scale)
    tree = f"flac_{length}".replace(" ", "")
    for number in range(BATCH_FILES):
        bench.recording(f"{tree}/{number:03}", 30, ".flac")
    commands = [
        Command(f"`ngate batch --jobs {n}`", [NGATE, "batch", tree, "-o", OUT_TREE, "--jobs", n])
        for n in ("1", "2")
    ]
    times = bench.measure("batch", commands)
    print(f"### Batch: {BATCH_FILES} FLAC files of {length}, mono, 16 bits, 44.1 kHz\n")
    print_times(times, [commands[0].name], "Files/s", BATCH_FILES)


def corpus(bench: Bench) -> None:
    """Measure many short recordings: the overhead of a batch, and other gates under xargs."""
    file_count, tree = round(CORPUS_FILES * bench.scale), "corpus"
    folders = ("a", "b")
    for n in range(file_count):
        bench.recording(f"{tree}/{folders[n % 2]}/{n:04}", 10 / bench.scale, rate=16000)
    agate = f"-af agate=threshold={THRESHOLD} -c:a pcm_s16le {OUT_TREE}/{{}}"
    compand = f"compand .005,.1 {CURVE} 0 -90 .005"
    xargs_files = file_count // 10
    output_folders = " ".join(f"{OUT_TREE}/{folder}" for folder in folders)
    list_files = f"(cd {tree} && ls */*) | head -{xargs_files}"
    run_each = f"mkdir -p {output_folders}; {list_files} | xargs -P2 -I{{}}"
    ngate = [NGATE, "batch", tree, "-o", OUT_TREE]
    ngate_given_threshold = [*ngate, "-t", str(THRESHOLD)]
    one, two = (f"`ngate batch -t {THRESHOLD} -j {n}`" for n in (1, 2))
    two_processes = " & ".join(
        f"{NGATE} batch {tree}/{folder} -o {OUT_TREE}/{folder} -t {THRESHOLD} -j 1"
        for folder in folders
    )
    commands = [
        Command(one, [*ngate_given_threshold, "-j", "1"]),
        Command(two, [*ngate_given_threshold, "-j", "2"]),
        Command(
            "two with `-j 1` at once, half the files each", ["sh", "-c", f"{two_processes} & wait"]
        ),
        Command("`ngate batch -j 2`", [*ngate, "-j", "2"]),
    ]
    for name, command in (
        ("ffmpeg", f"ffmpeg -nostdin -v error -y -i {tree}/{{}} {agate}"),
        ("sox", f"sox -D {tree}/{{}} {OUT_TREE}/{{}} {compand}"),
    ):
        if shutil.which(name):
            argv = ["sh", "-c", f"{run_each} {command}"]
            commands.append(
                Command(f"`xargs -P2 {name}`, from {xargs_files} files", argv, optional=True)
            )
    times = bench.measure("corpus", commands)
    for name in [name for name in times if "xargs" in name]:
        # They start once per file: ten times as many files take ten times as long.
        times[name] = [seconds * file_count / xargs_files for seconds in times[name]]
    print(f"### Batch: {file_count} WAV files of 10 s, mono, 16 bits, 16 kHz\n")
    print_times(times, [one, two], "Files/s", file_count)
    gating_ms = float(bench.run([PYTHON, OTHERS, "gating", tree], subprocess.PIPE))
    total_ms = 1000 * statistics.median(times[one]) / file_count
    print(
        f"Of the {total_ms:.2f} ms that one worker takes for a file, start-up included, "
        f"{gating_ms:.2f} ms are gating; the rest is {total_ms - gating_ms:.2f} ms.\n"
    )


def resume(bench: Bench) -> None:
    """Measure a second run with nothing left to do, and the memory of the parent process."""
    numbers = [round(n * bench.scale) for n in (1, 1000, RESUMED_FILES)]
    tiny = bench.folder / bench.recording("tiny", 0.1 / bench.scale, rate=16000)
    peaks = []
    for number in (n or 1 for n in numbers):
        tree = bench.folder / f"tiny{number}"
        for n in range(number):
            folder = tree / f"{n // 1000:03}"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(tiny, folder / f"{n:06}.wav")
        print(f"resume: {number} files for the first time", file=sys.stderr)
        shutil.rmtree(bench.folder / f"done{number}", ignore_errors=True)
        argv = [PYTHON, OTHERS, "parent", "batch", tree.name, "-o", f"done{number}", "-q"]
        peaks.append(int(bench.run([*argv, "-t", str(THRESHOLD)], subprocess.PIPE)) / 1e6)
    commands = [
        Command(
            f"`ngate batch`, {number} finished",
            [NGATE, "batch", f"tiny{number}", "-o", f"done{number}", "-q", "-t", str(THRESHOLD)],
        )
        for number in (n or 1 for n in numbers)
    ]
    times = bench.measure("resume", commands)
    print("### Batch: a second run when all is done\n")
    print_times(times, [commands[0].name])
    bench.results["parent"] = {str(n): [p] for n, p in zip(numbers, peaks, strict=True)}
    print("### Batch: peak memory of the parent in the first run\n")
    header = ["", *(f"{n or 1} files" for n in numbers), "Last ÷ second"]
    print_table(header, [["MB", *(f"{p:.1f}" for p in peaks), f"{peaks[2] / peaks[1]:.2f}×"]])


SECTIONS = {
    f.__name__: f for f in (speed, stereo, spectral, startup, memory, batch, corpus, resume)
}


def format_length(seconds: float) -> str:
    """Return a length in the largest unit that gives a whole number."""
    for unit, size in (("h", HOUR), ("min", MINUTE)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"


def format_command(argv: Sequence[str]) -> str:
    """Return a command as typed, without the paths of programs."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in argv]
    words[0] = "python" if argv[0] == PYTHON else words[0]
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def print_times(times: Times, bases: list[str], work: str = "", amount: float = 0) -> None:
    """Print a table of times, work per second, and ratios to each of `bases`."""
    rows = []
    for name, values in times.items():
        median = statistics.median(values)
        row = [name, *(f"{s:.3f} s" for s in (median, min(values), max(values)))]
        row += [f"{amount / median:.{int(amount / median < 100)}f}"] * bool(work)
        rows.append(row + [f"{median / statistics.median(times[base]):.2f}×" for base in bases])
    print_table(
        ["", "Median", "Least", "Most"] + [work] * bool(work) + [f"÷ {b}" for b in bases], rows
    )


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in [header, ["---"] + ["---:"] * (len(header) - 1), *rows]:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def describe_machine() -> str:
    """Describe the processor, the versions of all tools, and the tools that are not installed."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    versions = {"Python": platform.python_version(), "libsndfile": sf.__libsndfile_version__}
    for name in ("noisegate-cli", "numpy", "soundfile", "pedalboard", "noisereduce", "librosa"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    for name, option in (("ffmpeg", "-version"), ("sox", "--version")):
        if shutil.which(name):
            process = subprocess.run([name, option], capture_output=True, text=True, check=False)
            versions[name] = "".join(re.findall(r"(?:version |SoX v)(\S+)", process.stdout)[:1])
    missing = [name for name in OPTIONAL if name not in versions]
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f"; not installed: {', '.join(missing) or 'nothing'}."
    )


def main() -> None:
    """Run the sections that the command line selects."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench")
    parser.add_argument("--quick", action="store_true", help="a tenth of all lengths, one round")
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="times are medians of N [5]")
    parser.add_argument("--full", action="store_true", help="the hour for all: takes many GB")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the recordings there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there too")
    options = parser.parse_args()
    sections = options.only.split(",") if options.only else list(SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    if not NGATE:
        sys.exit("ngate is not installed for this Python: run make bench")
    rounds = max(1, options.rounds or (1 if options.quick else 5))
    command = parser.prog + " --quick" * options.quick + " --full" * options.full
    command += f" --only {options.only}" * bool(options.only)
    command += f" --rounds {rounds}" * bool(options.rounds)
    print(f"`{command}`: wall times of whole processes, medians of {rounds}.\n")
    print(describe_machine() + "\n", flush=True)
    if options.quick:
        print("This is a quick look: in short recordings, start-up outweighs the work.\n")
    with tempfile.TemporaryDirectory(prefix="ngate-bench-") as temporary:
        folder = options.keep.resolve() / "ngate-bench" if options.keep else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        scale, full = (0.1, True) if options.quick else (1, options.full)
        bench = Bench(folder, rounds, scale, full)
        for name in sections:
            try:
                SECTIONS[name](bench)
                bench.clear()
            except subprocess.CalledProcessError as error:
                sys.exit(f"{name}: {error}")
    if options.json:
        data = {"command": command, "machine": describe_machine(), "results": bench.results}
        options.json.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
