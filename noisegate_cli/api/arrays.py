"""Gate and analyze recordings held in arrays."""

# Otherwise `help(gate)` expands ArrayLike over several lines.
from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from noisegate_cli.api.array_input import prepare_samples, split_blocks
from noisegate_cli.api.noise_input import (
    measure_noise_array,
    measure_noise_file,
    measure_noise_span,
)
from noisegate_cli.api.other_tracks import OtherTrack, OtherTracks, create_array_source
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    Progress,
    ProgressCallback,
    open_progress,
    report_progress,
    scale_progress,
)
from noisegate_cli.gating.analysis import Analyzer, LevelReport, measure_blocks
from noisegate_cli.gating.bleed.references import ReferencePowers
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.gate import Gate, GateReport
from noisegate_cli.gating.noise_profile import NoiseProfiles
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.settings import GateSettings, SettingsChanges, build_settings
from noisegate_cli.samples import Samples
from noisegate_cli.text import format_repr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayGateResult(GateReport):
    """Result of `gate` with `return_result=True`."""

    samples: Samples
    """The gated samples, in the shape and the type of the input."""
    others: tuple[OtherTrack, ...] = ()
    """The other tracks, in the order of `against`."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayGateResult):
            return NotImplemented
        return self.to_fields() == other.to_fields() and np.array_equal(self.samples, other.samples)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = ("threshold", "statistics.closed_share", "statistics.openings", "chops.count")
        return format_repr(self, "samples.shape", *names)


@overload
def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | None = None,
    y_noise: ArrayLike | None = None,
    against: Sequence[ArrayLike] = (),
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
    preset: str | None = None,
    y_noise: ArrayLike | None = None,
    against: Sequence[ArrayLike] = (),
    axis: int = 0,
    return_result: Literal[True],
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> ArrayGateResult: ...


def gate(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | None = None,
    y_noise: ArrayLike | None = None,
    against: Sequence[ArrayLike] = (),
    axis: int = 0,
    return_result: bool = False,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Samples | ArrayGateResult:
    """Gate a recording held in an array.

    Parameters
    ----------
    y
        Samples shaped (samples,) or (samples, channels): int16, int32, or floats with full scale
        1.0. The array is not changed.
    sample_rate
        In Hz.
    settings
        Settings of the gate; by default the preset `voice`.
    preset
        Name of a preset instead of `settings`: `voice`, `music`, `field` or `hard`.
    y_noise
        Samples of the noise alone, shaped as `y`, for a spectral gate. By default the noise is
        learnt from `y`.
    against
        Samples of other tracks of the same session, each shaped as `y`, of any length and at the
        same sample rate. The gate stays closed where only their bleed is heard. Lag and clock drift
        are found; a track without a common sound is not used.
    axis
        Axis of the time: -1 if `y` is shaped (channels, samples).
    return_result
        Whether to return statistics and the open stretches as well.
    progress
        True shows a bar; a function is called with the finished share of the work, 0 to 1.
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

    Hiss under a tone, with a sample of the hiss:

    >>> rng = np.random.default_rng(0)
    >>> room, hiss = rng.normal(0, 0.01, (2, 16000))
    >>> tone = np.sin(np.arange(16000) / 5)
    >>> out = gate(tone + hiss, 16000, threshold=0.1, spectral=True, y_noise=room)
    >>> float((out - tone).std() / hiss.std()) < 0.4
    True
    """
    settings = build_settings(settings, preset, changes)
    samples = prepare_samples(y, settings, axis)
    noises = _measure_noise(samples, y_noise, settings, sample_rate, axis)
    others = _prepare_other_tracks(samples, against, settings, sample_rate, axis)
    with ExitStack() as stack, open_progress(progress, "gate") as report:
        decision, start = GateDecision.from_settings(settings, noises), 0.0
        if decision is None or others:
            start = FIRST_PASS_SHARE
            first_pass = scale_progress(report, 0.0, start)
            others.align(split_blocks(samples))
            with others.open_references() as references:
                decision = _measure_array(
                    samples, settings, sample_rate, noises, first_pass, references
                ).decide()
            others.check_bleed(decision.bleed)
        references = stack.enter_context(others.open_references())
        stream = Gate(decision, sample_rate, samples.shape[1], references=references)
        out = np.empty_like(np.asarray(y), order="C", subok=False)
        rows = np.moveaxis(out, axis, 0).reshape(samples.shape)
        end = 0
        blocks = report_progress(
            split_blocks(samples), len(samples), scale_progress(report, start, 1.0)
        )
        for block, last in blocks:
            gated, _ = stream.process(block, last)
            rows[end : end + len(gated)] = gated
            end += len(gated)
    if not return_result:
        return out
    gated_report = stream.report
    return ArrayGateResult(
        samples=out, others=others.report(gated_report.bleed), **gated_report.to_fields()
    )


def segments(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | None = None,
    y_noise: ArrayLike | None = None,
    axis: int = 0,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> Segments:
    """Return the stretches of a recording in which the gate is open.

    See `gate` for the parameters and the errors.

    Returns
    -------
    Segments
        Start and end of each stretch: `samples` and `seconds` are shaped (n, 2), as the intervals
        of `librosa.effects.split`.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(np.arange(24000) / 5) * np.repeat([0.001, 0.5, 0.001], 8000)
    >>> segments(y, 16000, threshold=0.01, preset="hard").samples.tolist()
    [[7808, 16256]]
    """
    return gate(
        y,
        sample_rate,
        settings=settings,
        preset=preset,
        y_noise=y_noise,
        axis=axis,
        return_result=True,
        progress=progress,
        **changes,
    ).segments


def analyze(
    y: ArrayLike,
    sample_rate: int,
    *,
    settings: GateSettings | None = None,
    preset: str | None = None,
    y_noise: ArrayLike | None = None,
    axis: int = 0,
    progress: Progress = False,
    **changes: Unpack[SettingsChanges],
) -> LevelReport:
    """Measure a recording held in an array; see `gate` for the parameters and the errors.

    Examples
    --------
    >>> import numpy as np
    >>> report = analyze(np.full(8000, 0.5), 8000)
    >>> round(report.peak_db, 2), report.suggestion.threshold is None
    (-6.02, True)
    """
    settings = build_settings(settings, preset, changes)
    samples = prepare_samples(y, settings, axis)
    noises = _measure_noise(samples, y_noise, settings, sample_rate, axis)
    with open_progress(progress, "analyze") as report:
        return _measure_array(samples, settings, sample_rate, noises, report).report()


def _measure_noise(
    samples: Samples,
    y_noise: ArrayLike | None,
    settings: GateSettings,
    sample_rate: int,
    axis: int,
) -> NoiseProfiles:
    """Return the noise profiles of `y_noise`, or of the recording or span in the settings."""
    return (
        measure_noise_array(y_noise, settings, sample_rate, axis)
        or measure_noise_file(settings)
        or measure_noise_span(split_blocks(samples), settings, sample_rate)
    )


def _measure_array(
    samples: Samples,
    settings: GateSettings,
    sample_rate: int,
    noises: NoiseProfiles,
    progress: ProgressCallback,
    references: Sequence[ReferencePowers] = (),
) -> Analyzer:
    length, channels = samples.shape
    blocks = report_progress(split_blocks(samples), length, progress)
    return measure_blocks(blocks, settings, sample_rate, channels, length, noises, references)


def _prepare_other_tracks(
    samples: Samples,
    against: Sequence[ArrayLike],
    settings: GateSettings,
    sample_rate: int,
    axis: int,
) -> OtherTracks:
    sources = [
        create_array_source(
            f"against[{index}]",
            prepare_samples(y, settings, axis if np.ndim(y) == 2 else 0),
            sample_rate,
        )
        for index, y in enumerate(against)
    ]
    return OtherTracks(sources, settings, sample_rate, samples.shape[1])
