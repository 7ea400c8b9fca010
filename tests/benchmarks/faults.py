"""Interrupt ngate at every point: nothing may be left, and outputs are complete or absent.

    python -m tests.benchmarks.faults [--moments 500] [--first 0] [--targets wav,mp3,batch]

Case *n* always has the same target, signals and moments. A case gates a recording of a minute, in
one of the output formats, from a file, through pipes or in a batch. One, two or five signals are
sent at random moments. The case fails if the exit status is not 128 + signal, a file is left, an
output is incomplete, or anything other than one line is printed.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

NGATE = [sys.executable, "-m", "noisegate_cli"]
ROOT = Path(__file__).parents[2]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

FORMATS = "wav flac ogg opus mp3 m4a mka webm wv tta aiff au caf w64 rf64 voc sph".split()
PIPED, BATCH = "pipe", "batch"
TARGETS = [*FORMATS, PIPED, BATCH]

SAMPLE_RATE_HZ, BATCH_RECORDINGS = 48000, 4
MAX_SECONDS = 120.0
"""Time in which an interrupted process must exit."""

MAX_SECOND_DELAY_S = 0.05
"""Maximum delay between two signals to the same process."""


@dataclass(frozen=True)
class Fixture:
    """Folder with the recording that the cases gate."""

    folder: Path
    samples: int
    durations_s: dict[str, float]
    """Time that the undisturbed command takes, by target."""


def make_fixture(folder: Path, seconds: float = 60.0) -> Fixture:
    """Write the recording that the cases gate."""
    rng = np.random.default_rng(0)
    samples = round(SAMPLE_RATE_HZ * seconds)
    levels = np.repeat([0.1, 0.001], SAMPLE_RATE_HZ // 2)
    y = rng.normal(0, 1, (samples, 2)) * np.resize(levels, samples)[:, None]
    sf.write(folder / "in.wav", y, SAMPLE_RATE_HZ)
    tree = folder / "tree"
    tree.mkdir()
    for number in range(BATCH_RECORDINGS):
        (tree / f"{number}.wav").hardlink_to(folder / "in.wav")
    (folder / "tmp").mkdir()
    return Fixture(folder, samples, {})


def choose_signals(number: int) -> tuple[list[signal.Signals], float, list[float]]:
    """Return the signals of a case, the share of the work at the first, and later delays."""
    rng = np.random.default_rng(number)
    count = int(rng.choice([1, 2, 5]))
    numbers = [SIGNALS[i] for i in rng.integers(len(SIGNALS), size=count)]
    return numbers, float(rng.random()), list(rng.random(count - 1) * MAX_SECOND_DELAY_S)


def stop_ignoring_signals() -> None:
    """Let the commands receive all signals, also below `nohup` and in a background job."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def start(fixture: Fixture, target: str) -> "subprocess.Popen[bytes]":
    """Start the command of a target."""
    folder = fixture.folder
    options, stdin, stdout = ["-t", "0.03", "-f", "-q"], subprocess.DEVNULL, subprocess.DEVNULL
    if target == BATCH:
        arguments = ["batch", folder / "tree", "-o", folder / "out", "-j", "2"]
    elif target == PIPED:
        # Only an automatic threshold needs the recording twice, so that it is spooled.
        options = ["-q", "--format", "flac"]
        arguments = ["gate", "-", "-o", "-"]
    else:
        arguments = ["gate", folder / "in.wav", "-o", folder / "out" / f"out.{target}"]
    with (folder / "in.wav").open("rb") as recording:
        return subprocess.Popen(
            [*NGATE, *map(str, [*arguments, *options])],
            stdin=recording if target == PIPED else stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder / "tmp")},
        )


def wait_for_handlers(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the process handles signals: before that, Python itself is starting."""
    status, bit = Path(f"/proc/{process.pid}/status"), 1 << (signal.SIGHUP - 1)
    while process.poll() is None:
        caught = next(s for s in status.read_text().splitlines() if s.startswith("SigCgt"))
        if int(caught.split()[1], 16) & bit:
            return
        time.sleep(0.001)


def measure(fixture: Fixture, target: str) -> float:
    """Return the seconds that the undisturbed command takes, without the start-up of Python."""
    if target not in fixture.durations_s:
        process = start(fixture, target)
        wait_for_handlers(process)
        began = time.perf_counter()
        _, stderr = process.communicate()
        fixture.durations_s[target] = time.perf_counter() - began
        assert process.returncode == 0, stderr.decode()
        check_files(fixture, finished=target != PIPED)
        remove_outputs(fixture)
    return fixture.durations_s[target]


def interrupt(fixture: Fixture, number: int, targets: list[str]) -> str:
    """Run a case; return `finished` or `interrupted`, or raise AssertionError."""
    target = targets[number % len(targets)]
    numbers, share, delays_s = choose_signals(number)
    moment = share * measure(fixture, target)
    process = start(fixture, target)
    try:
        wait_for_handlers(process)
        for sent, delay_s in zip(numbers, [moment, *delays_s], strict=True):
            time.sleep(delay_s)
            if process.poll() is None:
                os.killpg(process.pid, sent)
        stderr = process.communicate(timeout=MAX_SECONDS)[1].decode()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AssertionError("it does not exit") from None
    names = " ".join(s.name for s in numbers)
    case = f"{target}, {names} after {moment:.3f} s, status {process.returncode}: {stderr!r}"
    # A signal that arrives when the work is complete has no effect. Of signals that arrive during
    # a long call of a library, Python handles the one with the lowest number first.
    assert process.returncode in (0, *(128 + sent for sent in numbers)), case
    lines = stderr.splitlines()
    expected = "ngate: interrupted" if process.returncode else ""
    if target == BATCH and process.returncode:
        assert lines, case
        assert lines[-1].startswith(expected), case
        assert not any(word in stderr for word in ("Traceback", "Exception", "warn")), case
    else:
        assert lines == ([expected] if expected else []), case
    try:
        check_files(fixture, finished=not process.returncode and target != PIPED)
    except AssertionError as error:
        raise AssertionError(f"{case}: {error}") from error
    remove_outputs(fixture)
    return "interrupted" if process.returncode else "finished"


def check_files(fixture: Fixture, finished: bool) -> None:
    """Check that the outputs are complete and nothing else is left."""
    from noisegate_cli.files.inputs.reader import AudioReader

    left = list((fixture.folder / "tmp").iterdir())
    assert not left, f"temporary files are left: {left}"
    out = fixture.folder / "out"
    for path in out.iterdir() if out.exists() else []:
        assert not path.name.startswith(".ngate-"), path
        if path.suffix in (".jsonl", "") or path.name.startswith("."):
            continue
        with AudioReader(path) as reader:
            samples = sum(len(block) for block, _ in reader.blocks())
            assert samples == fixture.samples, f"{path} has {samples} samples"
            assert not reader.warnings, f"{path}: {reader.warnings}"
    assert out.exists() or not finished, "the output is absent"


def remove_outputs(fixture: Fixture) -> None:
    """Remove the outputs of a case."""
    import shutil

    shutil.rmtree(fixture.folder / "out", ignore_errors=True)


def main() -> int:
    """Run the cases; return 1 if any fails."""
    parser = argparse.ArgumentParser(description="Interrupt ngate at every point.")
    parser.add_argument("--moments", type=int, default=500, help="number of cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--targets", default=",".join(TARGETS), help="formats, pipe, batch")
    arguments = parser.parse_args()
    targets = arguments.targets.split(",")
    stop_ignoring_signals()
    counts: Counter[str] = Counter()
    faults = 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ngate-faults-") as folder:
        fixture = make_fixture(Path(folder))
        for number in range(arguments.first, arguments.first + arguments.moments):
            try:
                counts[interrupt(fixture, number, targets)] += 1
            except AssertionError as error:
                faults += 1
                print(f"{number}: {error}", flush=True)
                remove_outputs(fixture)
    seconds = time.perf_counter() - started
    print(f"{arguments.moments} cases: {dict(counts)}, {faults} faults in {seconds:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
