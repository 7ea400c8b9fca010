"""Let each system call fail once while ngate writes: nothing may be left, or a complete output.

    python -m tests.benchmarks.failing_calls [--formats wav,flac]

A library that is preloaded into a worker process makes the n-th open, write, close, rename, fsync
and so on fail, for n from 1 to the last one, in each output format, for a new output and for one
that is replaced. Besides, the disk becomes full at each write, and each write is a short one.
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile as sf

SOURCE = Path(__file__).with_suffix(".c")
ROOT = Path(__file__).parents[2]
FORMATS = "wav flac ogg oga opus mp3 m4a mka webm wv tta aiff au caf w64 rf64 voc sph".split()
MODES = FAIL_ONCE, FAIL_FROM_THEN_ON, SHORT_WRITE = range(3)
SAMPLES = 30001


def is_available() -> bool:
    """Return whether the library can be compiled and preloaded."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def run_worker(formats: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run all cases in a process with the preloaded library."""
    with tempfile.TemporaryDirectory(prefix="ngate-failing-calls-") as folder:
        library = Path(folder) / "failing_calls.so"
        compiled = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(compiled, check=True)
        command = [sys.executable, "-m", "tests.benchmarks.failing_calls", "--worker", folder]
        return subprocess.run(
            [*command, "--formats", ",".join(formats)],
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=False,
        )


def write_recording(path: Path) -> None:
    """Write a recording with tags and a picture, so that every part of a format is written."""
    from mutagen.flac import FLAC, Picture

    sf.write(path, np.random.default_rng(0).normal(0, 0.1, SAMPLES), 48000)
    file = FLAC(path)
    file["title"] = "A title"
    picture = Picture()
    picture.data, picture.mime, picture.type = bytes(range(256)) * 20, "image/png", 3
    file.add_picture(picture)
    file.save()


def check_case(source: Path, out: Path, before: bytes | None, fail: tuple[int, int]) -> str:
    """Gate into `out` while a call fails; return what became of it, or raise AssertionError."""
    from noisegate_cli import GateSettings, NoisegateError, gate_file

    shim = ctypes.CDLL(None)
    out.parent.mkdir()
    if before is not None:
        out.write_bytes(before)
    shim.ngate_fail_call(os.fsencode(out.parent), *fail)
    try:
        gate_file(source, out, GateSettings(threshold=0.03), force=before is not None, fsync=True)
        outcome = "written"
    except NoisegateError:
        outcome = "refused"
    finally:
        shim.ngate_fail_call(b"", 0, 0)
    if out.exists():
        check_complete(out)
        outcome += ", complete"
    else:
        assert outcome == "refused", "the output is absent"
        assert before is None, "the previous output is lost"
        outcome += ", absent"
    left = [path.name for path in out.parent.iterdir() if path != out]
    assert not left, f"files are left: {left}"
    return outcome


def check_complete(path: Path) -> None:
    """Check that a file decodes to its end."""
    from noisegate_cli.files.inputs.reader import AudioReader

    with AudioReader(path) as reader:
        samples = sum(len(block) for block, _ in reader.blocks())
        assert samples == SAMPLES, f"it has {samples} samples"
        assert not reader.warnings, reader.warnings


def run_cases(folder: Path, formats: list[str]) -> int:
    """Run all cases in this process; return the number of faults."""
    from noisegate_cli import GateSettings, gate_file

    source, shim = folder / "in.flac", ctypes.CDLL(None)
    write_recording(source)
    counts: Counter[str] = Counter()
    faults = 0
    for ending in formats:
        out = folder / "out" / f"out.{ending}"
        shim.ngate_fail_call(os.fsencode(out.parent), 0, 0)
        gate_file(source, out, GateSettings(threshold=0.03), fsync=True)
        calls, content = shim.ngate_count_calls(), out.read_bytes()
        shim.ngate_fail_call(b"", 0, 0)
        shutil.rmtree(out.parent)
        assert calls > 5, calls
        for before in (None, content):
            for mode in MODES:
                for number in range(1, calls + 1):
                    try:
                        counts[check_case(source, out, before, (number, mode))] += 1
                    except Exception as error:
                        faults += 1
                        kind = "replaced" if before else "new"
                        print(f"{ending}, {kind}, call {number} of {calls}, mode {mode}: {error!r}")
                    shutil.rmtree(out.parent, ignore_errors=True)
    print(f"{sum(counts.values()) + faults} cases: {dict(counts)}, {faults} faults")
    return faults


def main() -> int:
    """Run the cases; return 1 if any fails."""
    parser = argparse.ArgumentParser(description="Let each system call fail.")
    parser.add_argument("--formats", default=",".join(FORMATS), help="output formats")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    if arguments.worker:
        return min(1, run_cases(Path(arguments.worker), formats))
    if not is_available():
        print("a C compiler on Linux is needed to let system calls fail")
        return 0
    started = time.perf_counter()
    done = run_worker(formats)
    print(done.stdout, done.stderr, f"{time.perf_counter() - started:.0f} s", sep="", flush=True)
    return 1 if done.returncode or done.stderr else 0


if __name__ == "__main__":
    sys.exit(main())
