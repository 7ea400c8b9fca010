"""Describe the reason for a suggested threshold, or for the lack of one, in sentences."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.detection.verdict import Verdict

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion

LEVELS = (
    "Noise around {noise_floor_db:.1f} dBFS, signal around {active_db:.1f} dBFS ({contrast} apart)"
)

REASONS = {
    Verdict.SEPARATED: LEVELS + ".",
    Verdict.RAISED: LEVELS + "; the threshold is raised so that the gate closes again.",
    Verdict.ABOVE_FLOOR: "The noise floor is {noise_floor_db:.1f} dBFS.",
    Verdict.NOISE_ONLY: "No signal above the noise at {noise_floor_db:.1f} dBFS: the gate stays "
    "closed. If the recording is not just noise, set a threshold with -t.",
    Verdict.SILENT: "The recording is digital silence: there is nothing to gate.",
    # A long recording is also too short if nearly all of it is digital silence.
    Verdict.TOO_SHORT: "There is too little sound to distinguish noise from signal: "
    "the gate stays open. To gate it anyway, set a threshold with -t.",
    Verdict.TOO_LOUD: "Levels of {distance_db:.0f} dBFS are far above full scale (1.0): "
    "the gate stays open. Scale the samples first.",
    Verdict.NARROW: "Nearly all levels are within {distance_db:.0f} dB: a gate would only "
    "pump, so it stays open.",
    Verdict.INDISTINCT: "Noise and signal sound too similar to distinguish: the gate stays open.",
    Verdict.LOW_CONTRAST: "The signal is only {contrast} above the noise: a gate would "
    "pump, so it stays open. To attenuate the quiet parts anyway, try -t LEVEL --range -8dB.",
    Verdict.STEADY_TONE: "The recording is a steady tone, not noise: the gate stays open. "
    "If it is noise, set a threshold with -t.",
    Verdict.RARE_EVENT: "A rare sound is {distance_db:.0f} dB above the rest: "
    "the gate stays open. Set a threshold with -t.",
    Verdict.MUSIC_LIKE: "The quiet parts vary like music, not like noise: "
    "the gate stays open. If they are noise, set a threshold with -t.",
    Verdict.TONAL: "The quiet parts are tonal, like music, not noise: "
    "the gate stays open. If they are noise, set a threshold with -t.",
}
"""Sentence for each verdict, formatted with the numbers of a `ThresholdSuggestion`."""

PUMPING_HINT = " If the gate pumps, try --range -8dB."

MAX_PUMPING_DB = 12.0
"""If signal and noise are closer than this, a gate pumps audibly."""


_NUMBERS = ("noise_floor_db", "active_db", "distance_db")


def format_reason(suggestion: "ThresholdSuggestion") -> str:
    """Return the reason for a suggestion, or for the lack of one, in one or two sentences."""
    numbers = {name: getattr(suggestion, name) for name in _NUMBERS}
    return _format_verdict(suggestion.verdict, numbers)


def format_recorded_reason(result: Mapping[str, Any]) -> str | None:
    """Return the reason for a threshold in the result of one recording of a batch.

    Parameters
    ----------
    result
        See `api.result_data.summarize_result`. Levels of −∞ are None.
    """
    if result["verdict"] is None:
        return None
    numbers = {name: -math.inf if result[name] is None else result[name] for name in _NUMBERS}
    return _format_verdict(Verdict(result["verdict"]), numbers)


def _format_verdict(verdict: Verdict, numbers: Mapping[str, float]) -> str:
    sentence = REASONS[verdict]
    if verdict in (Verdict.SEPARATED, Verdict.RAISED) and numbers["distance_db"] < MAX_PUMPING_DB:
        sentence += PUMPING_HINT
    contrast = format_contrast(numbers["noise_floor_db"], numbers["active_db"])
    return sentence.format(**numbers, contrast=contrast)


def format_contrast(noise_db: float, active_db: float) -> str:
    """Return the distance of two levels, as a reader of the rounded levels computes it.

    Examples
    --------
    >>> format_contrast(-43.54, -23.46)
    '20.0 dB'
    """
    if not math.isfinite(active_db - noise_db):
        return "0.0 dB"
    return f"{round(active_db, 1) - round(noise_db, 1):.1f} dB"
