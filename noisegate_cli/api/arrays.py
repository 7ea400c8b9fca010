"""Gate and analyze recordings held in arrays."""

# Otherwise `help(gate)` expands ArrayLike over several lines.
from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from noisegate_cli.api.array_input import prepare_other, prepare_samples, read_sample_rate
from noisegate_cli.api.array_results import ArrayGateResult, ArrayLevelReport
from noisegate_cli.api.decisions import decide
from noisegate_cli.api.inputs import choose_settings
from noisegate_cli.api.labels import GivenSegments, build_forced
from noisegate_cli.api.noise_input import (
    measure_noise_array,
    measure_noise_file,
    measure_noise_span,
)
from noisegate_cli.api.progress import Progress, open_progress, report_progress
from noisegate_cli.api.sources import ArraySource
from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.gate import Gate
from noisegate_cli.gating.noise_profile import NoiseProfiles
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.setting_values import SettingsChanges
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.api.key_input import KeyTrack
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.key import KeySource


@overload
def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    segments: GivenSegments | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    against: Sequence[ArrayLike] = (),
    key: ArrayLike | None = None,
    axis: int = 0,
    return_result: Literal[False] = False,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Samples: ...


@overload
def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    segments: GivenSegments | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    against: Sequence[ArrayLike] = (),
    key: ArrayLike | None = None,
    axis: int = 0,
    return_result: Literal[True],
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> ArrayGateResult: ...


@overload
def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    segments: GivenSegments | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    against: Sequence[ArrayLike] = (),
    key: ArrayLike | None = None,
    axis: int = 0,
    return_result: bool,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Samples | ArrayGateResult: ...


def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    segments: GivenSegments | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    against: Sequence[ArrayLike] = (),
    key: ArrayLike | None = None,
    axis: int = 0,
    return_result: bool = False,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Samples | ArrayGateResult:
    """Gate a recording held in an array.

    Parameters
    ----------
    y : array_like
        Samples shaped (samples,) or (samples, channels): int16, int32, or floats with full scale
        1.0. The array is not changed.
    sample_rate : int
        In Hz.
    settings : GateSettings, optional
        Settings of the gate; by default the preset `voice`.
    preset : str or Path, optional
        Preset instead of `settings`: `voice`, `music`, `field` or `hard`, or the path of a TOML
        file with the same keys and values as for `ngate --preset FILE.toml`.
    y_noise : array_like, optional
        Samples of the noise alone, shaped as `y`, for a spectral gate. By default the noise is
        learned from `y`.
    segments : Segments, array_like of shape (n, 2), str or Path, optional
        All segments in which the gate is open, instead of a detector: the `segments` of a result,
        an array shaped (n, 2) in seconds, or the path of a label file. They are rounded to whole
        frames. The `segments` of a result give the same samples with the same settings.
    keep, cut : sequence of (float, float), optional
        Time spans (from, to) in seconds in which the gate is always fully open, or always fully
        closed. The fades lie outside. Where both overlap, `keep` has priority.
    against : sequence of array_like, optional
        Samples of other tracks of the same session, each shaped as `y`, of any length and at the
        same sample rate. The gate stays closed where only their bleed is audible. Lag and clock
        drift are found; a track without a common sound is not used.
    key : array_like, optional
        Samples of another recording that opens the gate (sidechain), shaped as `y`, of any length
        and at the same sample rate. Lag and clock drift are measured from the sound that both have
        in common; without any, both are assumed to start together. Before and after the key, the
        gate is closed, or open with `duck=True`.
    axis : int, default 0
        Time axis: -1 if `y` is shaped (channels, samples).
    return_result : bool, default False
        Whether to return statistics and the open segments as well.
    progress : bool or callable, default False
        True shows a progress bar; a function is called with the finished share of the work, 0 to 1.
    **changes
        Single settings that override `settings` or the preset, see `GateSettings`:
        `threshold="-30dB"`, `hold_ms=100`, `spectral=True`.

    Returns
    -------
    numpy.ndarray or ArrayGateResult
        The gated samples, in the shape and the type of `y`; with `return_result` an object that
        has them as `samples`.

    Raises
    ------
    SettingsError
        If a setting is out of range, or `y` has an unsuitable shape or type.
    AudioError
        If `y` contains NaN or infinite samples.
    LabelsError
        If `segments` is the path of a file that cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(16000) / 5) * np.repeat([0.5, 0.001], 8000)
    >>> out = gate(y, 16000, threshold="-40dB")
    >>> np.array_equal(out[:8000], y[:8000]), float(np.abs(out[14000:]).max())
    (True, 0.0)

    Statistics in the same call:

    >>> result = gate(y, 16000, threshold="-40dB", return_result=True)
    >>> result.statistics.openings, result.segments.seconds.tolist()
    (1, [[0.0, 0.552]])

    Edited by hand:

    >>> out = gate(y, 16000, segments=result.segments, keep=[(0.8, 0.9)], cut=[(0.1, 0.2)])
    >>> np.array_equal(out[12800:14400], y[12800:14400]), float(np.abs(out[1600:3200]).max())
    (True, 0.0)

    Hiss under a tone, with a sample of the hiss:

    >>> rng = np.random.default_rng(0)
    >>> room, hiss = rng.normal(0, 0.01, (2, 16000))
    >>> tone = np.sin(np.arange(16000) / 5)
    >>> out = gate(tone + hiss, 16000, threshold=0.1, spectral=True, y_noise=room)
    >>> float((out - tone).std() / hiss.std()) < 0.5
    True
    """
    settings = choose_settings(settings, preset, changes)
    sample_rate = read_sample_rate(sample_rate)
    samples = prepare_samples(y, settings, axis)
    source = ArraySource(samples, sample_rate)
    noises = _measure_noise(y_noise, settings, sample_rate, axis)
    forced = build_forced(segments, keep, cut)
    others = _prepare_other_tracks(source, against, settings, axis)
    key_source = None
    if key is not None:
        key_source = ArraySource(prepare_other("key", key, settings, axis), sample_rate, "key")
    with ExitStack() as stack, open_progress(progress, "gate") as report:
        decision, second_pass = decide(
            source, settings, report, noises=noises, forced=forced, others=others, key=key_source
        )
        references = stack.enter_context(others.open_references()) if others else ()
        stream = Gate(decision, sample_rate, source.channels, references=references)
        out = np.empty_like(np.asarray(y), order="C", subok=False)
        rows = np.moveaxis(out, axis, 0).reshape(samples.shape)
        end = 0
        for block, last in report_progress(source.blocks(), source.samples, second_pass):
            gated, _ = stream.process(block, last)
            rows[end : end + len(gated)] = gated
            end += len(gated)
    if not return_result:
        return out
    gated_report = stream.report
    return ArrayGateResult(
        samples=out,
        original=samples,
        others=others.report(gated_report.bleed) if others else (),
        key=_describe_key(decision.key) if decision.key else None,
        **gated_report.to_dict(),
    )


def segments(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    keep: Iterable[tuple[float, float]] = (),
    cut: Iterable[tuple[float, float]] = (),
    axis: int = 0,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Segments:
    """Return the segments of a recording in which the gate is open.

    See `gate` for the parameters and the errors.

    Returns
    -------
    Segments
        Start and end of each segment: `samples` and `seconds` are shaped (n, 2), as the intervals
        of `librosa.effects.split`.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(24000) / 5) * np.repeat([0.001, 0.5, 0.001], 8000)
    >>> segments(y, 16000, threshold=0.01, preset="hard").samples.tolist()
    [[7808, 16256]]
    """
    settings = choose_settings(settings, preset, changes)
    sample_rate = read_sample_rate(sample_rate)
    source = ArraySource(prepare_samples(y, settings, axis), sample_rate)
    noises = _measure_noise(y_noise, settings, sample_rate, axis)
    with open_progress(progress, "segments") as report:
        decision, second_pass = decide(
            source, settings, report, noises=noises, forced=build_forced(None, keep, cut)
        )
        stream = Gate(decision, sample_rate, source.channels, with_samples=False)
        for block, last in report_progress(source.blocks(), source.samples, second_pass):
            stream.process(block, last)
    return stream.report.segments


def analyze(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | Path | None = None,
    y_noise: ArrayLike | None = None,
    axis: int = 0,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> ArrayLevelReport:
    """Measure a recording held in an array; see `gate` for the parameters and the errors.

    Returns
    -------
    ArrayLevelReport
        Levels in dBFS, the suggested threshold, and simulations with other thresholds.

    Examples
    --------
    >>> import numpy as np
    >>> report = analyze(np.full(8000, 0.5), 8000)
    >>> round(report.peak_db, 2), report.suggestion.threshold is None
    (-6.02, True)
    """
    from noisegate_cli.api.first_pass import measure

    settings = choose_settings(settings, preset, changes)
    sample_rate = read_sample_rate(sample_rate)
    samples = prepare_samples(y, settings, axis)
    source = ArraySource(samples, sample_rate)
    noises = _measure_noise(y_noise, settings, sample_rate, axis)
    noises = noises or measure_noise_span(source, settings)
    with open_progress(progress, "analyze") as report:
        levels = measure(source, settings, report, noises=noises, compare=True).report()
    return ArrayLevelReport(
        **{field.name: getattr(levels, field.name) for field in fields(levels)},
        original=samples,
        sample_rate=sample_rate,
        settings=settings,
        given_noises=tuple(noises),
    )


def _measure_noise(
    y_noise: ArrayLike | None, settings: GateSettings, sample_rate: int, axis: int
) -> NoiseProfiles:
    """Return the noise profiles of `y_noise`, or of the noise recording in the settings."""
    noises = measure_noise_array(y_noise, settings, sample_rate, axis)
    return noises or measure_noise_file(settings)


def _prepare_other_tracks(
    source: ArraySource, against: Sequence[ArrayLike], settings: GateSettings, axis: int
) -> OtherTracks | None:
    """Return the other tracks; None without any."""
    if (
        isinstance(against, str)
        or not isinstance(against, Collection)
        or getattr(against, "ndim", 0) == 1
    ):
        raise SettingsError("against= is not a list of arrays: give against=[other]")
    if not len(against):
        return None
    from noisegate_cli.api.other_tracks import OtherTracks

    named = {f"against[{index}]": y for index, y in enumerate(against)}
    tracks = [
        ArraySource(prepare_other(name, y, settings, axis), source.sample_rate, name)
        for name, y in named.items()
    ]
    return OtherTracks(tracks, settings, source.sample_rate, source.channels)


def _describe_key(key: KeySource) -> KeyTrack:
    from noisegate_cli.api.key_input import KeyTrack

    return KeyTrack(None, key.alignment)
