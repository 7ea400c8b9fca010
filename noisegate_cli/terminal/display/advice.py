"""Advice for the user: notes about an analysis, and the suggested command."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from noisegate_cli.api.result_data import is_range_softened
from noisegate_cli.gating.detection.verdict import Verdict
from noisegate_cli.gating.parsing import AUTO
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.timing import MAX_TIME_MS
from noisegate_cli.terminal.display.reasons import format_contrast
from noisegate_cli.terminal.options.gate_settings import TypedSettings
from noisegate_cli.terminal.options.words import (
    format_option,
    list_reading_options,
    looks_like_option,
)
from noisegate_cli.text import quote_for_shell

if TYPE_CHECKING:
    from noisegate_cli.api.analysis_report import AnalysisReport
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.gating.cutoff_report import CutoffReport


MIN_AGREEMENT = 0.99
"""Minimum agreement with the automatic gate for a fixed threshold to be a good replacement."""

MAX_DRIFT_DB = 6.0
"""If the noise level varies more than this, no fixed threshold suits the whole recording."""

MAX_DC_DISTANCE_DB = 3.0
"""If a DC offset is at most this far below the noise floor, it makes up most of the noise power."""

MIN_CLOSED_SHARE = 0.01
"""If the gate is closed for a smaller share of the time, it has hardly any effect."""

SUGGESTED_TIME_STEP_MS = 50.0
"""Times that are suggested against cut-offs are multiples of this."""

MAX_SUGGESTED_LOOKAHEAD_MS = 300.0
"""A longer lookahead is not suggested: the noise before each sound would be audible."""

MIN_THRESHOLD_STEP_DB = 6.0
"""Minimum reduction of a threshold that is suggested against cut-offs."""


def collect_advice(report: "AnalysisReport") -> list[str]:
    """Return notes that the user should read before gating, one sentence each."""
    levels, suggestion = report.levels, report.levels.suggestion
    notes = []
    notes += _compare_thresholds(report)
    if is_range_softened(levels.range_db, report.settings):
        contrast = format_contrast(suggestion.noise_floor_db, suggestion.active_db)
        notes.append(
            f"Signal and noise are only {contrast} apart: the automatic gate "
            f"attenuates the pauses by {-levels.range_db:g} dB. --range mute silences them."
        )
    if levels.drift_db > MAX_DRIFT_DB:
        notes.append(
            f"The noise level varies by {levels.drift_db:.0f} dB. Without -t, the gate follows it; "
            "a fixed threshold cannot."
        )
    if -math.inf < suggestion.noise_floor_db < levels.dc_offset_db + MAX_DC_DISTANCE_DB:
        notes.append(
            f"The recording has a DC offset of {levels.dc_offset_db:.1f} dBFS, which counts as "
            "noise. Remove it first, for example with a high-pass filter at 20 Hz."
        )
    if levels.peak_db >= 0 and suggestion.verdict is not Verdict.TOO_LOUD:
        notes.append("Peaks reach full scale: the recording may be clipped.")
    if suggestion.threshold is not None and levels.closed_share < MIN_CLOSED_SHARE:
        notes.append("There are hardly any pauses to silence.")
    return notes


def _compare_thresholds(report: "AnalysisReport") -> list[str]:
    """Return a note about a fixed threshold that does not do what the automatic gate does."""
    settings, suggestion = report.settings, report.levels.suggestion
    if suggestion.threshold is None:
        return []
    if given := report.levels.given_trial:
        if given.agreement is None or given.agreement >= MIN_AGREEMENT:
            return []
        differs = f"{100 * (1 - given.agreement):.1f}% of the time"
        return [
            f"The given threshold differs from the automatic gate for {differs}. For the automatic "
            "gate, omit -t."
        ]
    if suggestion.agreement is None or suggestion.agreement >= MIN_AGREEMENT:
        return []
    # The band is for speech.
    is_speech = settings.listen == "voice" and not settings.key_hz
    return [
        "Even the best fixed threshold differs from the automatic gate for "
        f"{100 * (1 - suggestion.agreement):.1f}% of the time: gate without -t"
        + (", or for speech try --key 250-4000." if is_speech else ".")
    ]


class GivenOptions(NamedTuple):
    """Options of `ngate analyze` that change what `ngate gate` does as well."""

    preset: str
    """Name or file of the preset."""
    values: Mapping[str, Any]
    """The other settings, as text or as values, by their names."""
    reading: Sequence[str] = ()
    """Options with which the recording is read."""

    @classmethod
    def from_command(
        cls,
        typed: TypedSettings,
        raw: str | None,
        track: int | None,
        against: Sequence[str] = (),
    ) -> "GivenOptions":
        """Return the options that a command received."""
        return cls(typed.preset, typed.texts, list_reading_options(raw, track, against))

    @classmethod
    def from_settings(cls, settings: GateSettings) -> "GivenOptions":
        """Return the options that result in some settings."""
        spectral = settings.spectral
        preset = "hard" if spectral == "mask" else "voice"
        base = GateSettings.preset(preset, spectral=spectral)
        values = settings.changes_from(base)
        if settings.closed_range_db == base.closed_range_db:
            values.pop("range_db", None)
        return cls(preset, values | ({"spectral": True} if spectral != "off" else {}))

    def build_command(self, path: str, threshold: str | None) -> str:
        """Return the command that gates a recording, with another threshold than the given one."""
        values = {name: value for name, value in self.values.items() if name != "threshold"}
        threshold = threshold or self._threshold
        preset = [] if self.preset.lower() == "voice" else ["-p", self.preset]
        options = [format_option(name, value) for name, value in values.items()]
        level = ["-t", threshold] if threshold else []
        end = [*level, "--", path] if looks_like_option(path) else [path, *level]
        return quote_for_shell(["ngate", "gate", *preset, *options, *self.reading, *end])

    @property
    def _threshold(self) -> str | None:
        """The given threshold as text; None without one."""
        value = self.values.get("threshold")
        return f"{value:.3g}" if isinstance(value, float) else value


def suggest_gate_command(report: "AnalysisReport", given: GivenOptions | None = None) -> str:
    """Return the `ngate gate` command that an analysis suggests, or an empty string.

    It has all options that were given, by default the ones that result in the settings. It has
    another threshold only where that does the same as the automatic gate. It is empty where the
    gate would do nothing, because it finds no threshold.
    """
    settings, suggestion = report.settings, report.levels.suggestion
    if isinstance(settings.threshold, str) and suggestion.threshold is None:
        return ""
    given = given or GivenOptions.from_settings(settings)
    threshold = f"{suggestion.threshold:.3g}" if _is_replaceable(report) else None
    return given.build_command(str(report.info.path), threshold)


def suggest_threshold_trial(report: "AnalysisReport", given: GivenOptions) -> str:
    """Return the command that tries a LEVEL where the gate finds none, or an empty string."""
    if not report.levels.trials or report.settings.speech:
        return ""
    return given.build_command(str(report.info.path), "LEVEL")


def _is_replaceable(report: "AnalysisReport") -> bool:
    """Return whether the suggested threshold does the same as the automatic gate."""
    settings, levels = report.settings, report.levels
    requires_automatic = settings.speech or settings.spectral == "mask"
    return (
        settings.threshold == AUTO
        and not requires_automatic
        and not is_range_softened(levels.range_db, settings)
        and (levels.suggestion.agreement or 0.0) >= MIN_AGREEMENT
        and levels.drift_db <= MAX_DRIFT_DB
    )


def suggest_cutoff_remedies(result: "GateResult") -> dict[str, list[str]]:
    """Return options against cut-offs, by what they help: "decay", "attack", or "" for both.

    Each option avoids cut-offs or makes them milder.
    """
    from noisegate_cli.gating.cutoffs import MIN_AUDITED_RANGE_DB, MIN_CUTOFF_DB

    settings, cutoffs = result.settings, result.cutoffs
    remedies: dict[str, list[str]] = {"decay": [], "attack": [], "": []}
    holds = result.forced.segments is None  # A given segment includes the hold.
    if cutoffs.decays and holds and settings.hold_ms < MAX_TIME_MS:
        # A slow decay is cut again at the end of a hold that is only a little longer.
        hold_ms = max(2 * settings.hold_ms, _lengthen(settings.hold_ms, cutoffs, "decay"))
        remedies["decay"] = [f"--hold {min(MAX_TIME_MS, hold_ms):g}"]
    lookahead_ms = _lengthen(settings.lookahead_ms, cutoffs, "attack")
    if cutoffs.attacks and lookahead_ms <= MAX_SUGGESTED_LOOKAHEAD_MS:
        remedies["attack"] = [f"--lookahead {lookahead_ms:g}"]
    if result.threshold:
        excess_db = max((cutoff.above_db for cutoff in cutoffs.worst), default=0.0) - MIN_CUTOFF_DB
        step_db = math.ceil(max(MIN_THRESHOLD_STEP_DB, excess_db) + settings.hysteresis_db) + 1
        remedies[""].append(f"-t {result.threshold * 10 ** (-step_db / 20):.3g}")
    reduces_bins_only = settings.pause_reduction_db and not result.range_db
    option = "--reduction" if reduces_bins_only else "--range"
    gentle_db = -MIN_AUDITED_RANGE_DB if reduces_bins_only else MIN_AUDITED_RANGE_DB
    remedies[""].append(f"{option} {gentle_db:g}dB")
    return remedies


def _lengthen(ms: float, cutoffs: "CutoffReport", kind: str) -> float:
    """Return a hold or a lookahead in ms that covers the sounds that were cut."""
    lasts_ms = max(
        (1000 * cutoff.lasts for cutoff in cutoffs.marked if cutoff.kind == kind), default=0.0
    )
    return (math.ceil((ms + lasts_ms) / SUGGESTED_TIME_STEP_MS) + 1) * SUGGESTED_TIME_STEP_MS
