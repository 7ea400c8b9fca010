"""Decode each output with another program than the one that wrote it.

    python -m tests.benchmarks.read_back [--containers WAV,FLAC]

For each output format and sample type: 1 to 16 channels, several sample rates, and lengths around
the frame length of the encoder. FFmpeg decodes the output, SoX if FFmpeg cannot, or PyAV where
neither is installed. Lossless outputs must have the same samples; lossy ones the same length. An
output may also be refused, in one line.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noisegate_cli.errors import OutputError
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import FORMATS
from noisegate_cli.files.outputs.encoders import unsupported_reason
from noisegate_cli.files.outputs.writer import open_writer
from noisegate_cli.samples import Samples

CONTAINERS = [
    kind.name
    for kind in FORMATS.values()
    if kind.extensions and kind.writer and kind.name != "RAW"  # It does not declare its format.
]
LOSSLESS = "PCM_S8 PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW ALAC_16 ALAC_24".split()
LOSSY = "AAC OPUS VORBIS MPEG_LAYER_III AC3 EAC3".split()

CHANNELS = (*range(1, 9), 16)
SAMPLE_RATES_HZ = (1, 2, 8000, 22050, 44100, 96000, 192000, 200001, 384000)
FRAME_LENGTHS = {"M4A": 4096, "FLAC": 4096, "OGG": 4608, "MKA": 4608}
"""Frame length of encoders; in TTA it depends on the sample rate."""

SOX_FORMATS = ("VOC",)
"""Formats that SoX decodes, because FFmpeg lacks variants of them."""

SOX_SUBTYPES = ("VORBIS",)
"""Codecs that SoX decodes, because FFmpeg does not trim Vorbis to the position of the last page.

FFmpeg even drops the last 128 samples of a short file that ends at the end of a block."""

WITHOUT_FFMPEG = (("TTA", 5), ("WV", 16))
"""Containers and numbers of channels that FFmpeg decodes only from version 6 on."""

MAX_SECONDS = 60.0

OPUS_RATE_HZ = 48000
MAX_PADDING_SAMPLES = 1152
"""Samples that FFmpeg may add to lossy audio: it does not trim all formats at both ends."""

EXACT_LOSSY_CONTAINERS = ("OGG", "MP3", "MKA", "WEBM")
"""Containers that declare the padding of lossy audio so that FFmpeg and SoX remove it."""

COMPANDING_ERROR = 1 / 32
"""Upper bound of the error of A-law and µ-law: half of the largest step."""

FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31, "float32": 1.0, "float64": 1.0}


@dataclass(frozen=True)
class Case:
    """An output to write and decode."""

    container: str
    subtype: str
    channels: int
    sample_rate: int
    samples: int
    loudness: float = 0.1

    @property
    def info(self) -> AudioInfo:
        """Properties of the output."""
        path = Path(f"out{FORMATS[self.container].extensions[0]}")
        return AudioInfo(
            path, self.sample_rate, self.channels, self.samples, self.container, self.subtype
        )


def make_cases(container: str) -> Iterator[Case]:
    """Yield the cases of a container."""
    for subtype in (*LOSSLESS, *LOSSY):
        for channels in CHANNELS:
            length = FRAME_LENGTHS.get(container, 256 * 48000 // 245)
            for samples in (1, 2, length - 1, length, length + 1, length + 2):
                yield Case(container, subtype, channels, 48000, samples)
        for rate in SAMPLE_RATES_HZ:
            for channels in (1, 2, 6):
                yield Case(container, subtype, channels, rate, 5001, loudness=1.0)


def make_samples(case: Case) -> Samples:
    """Return noise in the sample type of an output."""
    info = case.info
    rng = np.random.default_rng(case.samples + case.channels)
    full_scale = FULL_SCALE[info.dtype.name]
    noise = case.loudness * rng.choice([-1.0, -0.3, 0.5, 1.0], (case.samples, case.channels))
    if info.dtype.kind == "f":
        return np.asarray(noise, info.dtype)
    step = info.quantization_step(info.dtype)
    lowest, highest = -full_scale, full_scale - step
    values = np.clip(np.rint(noise * full_scale / step) * step, lowest, highest)
    return np.asarray(values.astype(np.int64), info.dtype)


def decode(path: Path, case: Case) -> Samples:
    """Return the samples of a file as another program decodes it, as floats."""
    options = ["-v", "error", "-i", str(path), "-f", "f64le", "-"]
    sox = ["sox", str(path), "-t", "f64", "-"]
    command = ["ffmpeg", *options]
    needs_sox = case.container in SOX_FORMATS or case.subtype in SOX_SUBTYPES
    if needs_sox and shutil.which("sox"):
        command = sox
    if not shutil.which(command[0]) or (case.container, case.channels) in WITHOUT_FFMPEG:
        return decode_by_pyav(path)
    done = subprocess.run(command, capture_output=True, check=False, timeout=MAX_SECONDS)
    assert not done.returncode, done.stderr.decode()
    return np.frombuffer(done.stdout, "<f8").reshape(-1, case.channels)


def decode_by_pyav(path: Path) -> Samples:
    """Return the samples of a file as PyAV decodes it, as floats."""
    import av

    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="dbl")
        frames = [new for frame in file.decode(audio=0) for new in resampler.resample(frame)]
        packed = [frame.to_ndarray().reshape(-1, frame.layout.nb_channels) for frame in frames]
    return np.asarray(np.concatenate(packed))


def check_case(case: Case, folder: Path) -> str:
    """Write and decode an output; return what became of it, or raise AssertionError."""
    info = case.info
    if unsupported_reason(info):
        return "refused"
    samples = make_samples(case)
    path = folder / info.path
    try:
        try:
            with open_writer(replace(info, path=path), force=True) as writer:
                writer.write(samples)
        except OutputError:
            return "refused"
        decoded = decode(path, case)
    finally:
        path.unlink(missing_ok=True)
    assert decoded.shape[1] == case.channels, decoded.shape
    expected = samples / FULL_SCALE[info.dtype.name]
    if info.is_lossy:
        rate = OPUS_RATE_HZ if info.subtype == "OPUS" else info.sample_rate
        extra = len(decoded) - len(expected) * rate / info.sample_rate
        max_extra = 0 if case.container in EXACT_LOSSY_CONTAINERS else MAX_PADDING_SAMPLES
        assert -1 < extra <= max_extra, f"{extra} samples more"
        return "lossy"
    assert decoded.shape == expected.shape, f"{decoded.shape} instead of {expected.shape}"
    if info.subtype in ("ULAW", "ALAW"):
        assert np.abs(decoded - expected).max() < COMPANDING_ERROR
        return "companded"
    assert np.array_equal(decoded, expected), "the samples differ"
    return "exact"


def check_in_child(case: Case, folder: Path) -> str:
    """Check a case in a process that may die; return what became of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            outcome = check_case(case, folder)
        except BaseException as error:
            outcome = f"fault: {type(error).__name__}: {error}"
        os.write(writing, outcome.encode()[:500])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        outcome = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return outcome or f"fault: the process died with status {status}"


def main() -> int:
    """Run the cases; return 1 if any fails."""
    parser = argparse.ArgumentParser(description="Decode each output with another program.")
    parser.add_argument("--containers", default=",".join(CONTAINERS), help="names of containers")
    containers = parser.parse_args().containers.split(",")
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork, in a process with threads
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ngate-read-back-") as folder:
        for container in containers:
            for case in make_cases(container):
                outcome = check_in_child(case, Path(folder))
                counts[outcome.partition(":")[0]] += 1
                if outcome.startswith("fault"):
                    print(f"{case}: {outcome}", flush=True)
    print(f"{dict(counts)} in {time.perf_counter() - started:.0f} s")
    return min(1, counts["fault"])


if __name__ == "__main__":
    sys.exit(main())
