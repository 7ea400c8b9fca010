"""Calls that mypy must accept, and calls that mypy must reject; this file is only type-checked."""

from pathlib import Path

import numpy as np

from noisegate_cli import (
    ArrayGateResult,
    GateSettings,
    RawFormat,
    analyze_file,
    gate,
    gate_file,
    segments,
)


def calls() -> None:
    """Call the library; this function is never run."""
    GateSettings.preset("voice", hold_ms=100.0, spectral=True)
    GateSettings.preset("voice", hold=100.0)  # type: ignore[call-arg]
    GateSettings.preset("voice", range_db="mute")
    GateSettings.preset("voice", hold_ms="100ms")  # type: ignore[arg-type]
    GateSettings(range_db="mute", reduction_db="12dB", spectral=True, noise=Path("hiss.wav"))
    GateSettings(hold_ms="100ms")  # type: ignore[arg-type]
    gate_file("in.wav", threshold="-30dB", preset="music")
    gate_file("in.wav", treshold=0.1)  # type: ignore[call-arg]

    out = gate([0.0], 8000, threshold="-30dB", channels="separate")
    print(out.shape, out.statistics)  # type: ignore[attr-defined]
    gate([0.0], 8000, channels="left")  # type: ignore[call-overload]

    gate_file("in.wav", segments="labels.txt", keep=[(1, 2.5)], labels="out.csv")
    gate([0.0], 8000, cut=[(1, 2, 3)])  # type: ignore[list-item]
    gate([0.0], 8000, keep=segments([0.0], 8000), cut=np.zeros((0, 2)))

    result = gate([0.0], 8000, return_result=True, segments=[(0.5, 1.5)], keep=[(1, 2)])
    print(result.samples.shape, result.statistics.openings, result.segments.seconds.shape)
    print(result.shape)  # type: ignore[attr-defined]
    either = gate([0.0], 8000, return_result=bool("x"), keep=[(1, 2)], key=[0.0])
    print(either if isinstance(either, ArrayGateResult) else either.shape)

    gate_file("in.raw", raw="44100:1:s16")
    analyze_file("in.raw", raw=RawFormat(44100, 1, "PCM_16"))
    analyze_file("in.raw", raw=44100)  # type: ignore[arg-type]
