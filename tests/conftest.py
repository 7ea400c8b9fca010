"""Signals, recordings and fixtures that several tests use."""

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import settings

from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.samples import Samples

# A test must not fail because the machine is busy, nor in one run of many.
settings.register_profile("ngate", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("ngate")


def examples(number: int) -> settings:
    """Return settings with another number of examples than 40; a thorough run has 25 times more."""
    return settings(max_examples=number * settings.default.max_examples // 40)


# Processes inherit ignored signals. A shell ignores SIGINT in the background, and nohup SIGHUP.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

DATA = Path(__file__).parent / "data"
SPEECH = DATA / "jfk_1961.wav"
GUITAR = DATA / "guitar_stereo.flac"

PCM = {"PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32"}
FLOATS = {"FLOAT": "float32", "DOUBLE": "float64"}

Writer = Callable[..., Path]


def tone(seconds: float, rms: float, sample_rate: int = 16000, hz: float = 440.0) -> Samples:
    """Return a sine with the given RMS, shaped (samples,)."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.asarray(rms * np.sqrt(2) * np.sin(2 * np.pi * hz * t))


def loud_and_quiet(sample_rate: int = 16000) -> Samples:
    """Return one second each of a tone with RMS 0.2, 0.001 and 0.2, shaped (samples,)."""
    parts = [tone(1, rms, sample_rate) for rms in (0.2, 0.001, 0.2)]
    return np.concatenate(parts)


def as_type(y: Samples, subtype: str) -> Samples:
    """Return floats quantized to a libsndfile subtype, in the type that libsndfile uses for it."""
    if subtype in FLOATS:
        return y.astype(FLOATS[subtype])
    bits = int(subtype.removeprefix("PCM_"))
    container_bits = np.dtype(PCM[subtype]).itemsize * 8
    steps = np.clip(np.rint(y * 2.0 ** (bits - 1)), -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
    return (steps.astype(np.int64) << (container_bits - bits)).astype(PCM[subtype])


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Return a function that writes samples to a file and returns its path."""

    def writer(
        y: Samples, name: str = "in.wav", rate: int = 16000, subtype: str = "PCM_16"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        container = {".wav": "WAV", ".flac": "FLAC"}.get(path.suffix, "WAV")
        with sf.SoundFile(
            path, "w", rate, 1 if y.ndim == 1 else y.shape[1], subtype, format=container
        ) as file:
            file.write(y if y.dtype.kind == "i" else as_type(y, subtype))
        return path

    return writer


def read(path: Path, dtype: str = "int16") -> Samples:
    """Return the samples of a file, shaped (samples, channels)."""
    return np.asarray(sf.read(path, dtype=dtype, always_2d=True)[0])


def read_blocks(reader: AudioReader) -> Samples:
    """Return the samples of all blocks of a reader, shaped (samples, channels)."""
    return np.concatenate([block.copy() for block, _ in reader.blocks()])


PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def drop_permission_override() -> None:
    """Make permissions apply to root too; for `preexec_fn` on Linux."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
