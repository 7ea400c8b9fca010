"""Describe the reason for a suggested threshold, or for the lack of one, in sentences."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.detection.verdict import Verdict

if TYPE_CHECKING:
    from noisegate_cli.gating.detection.threshold import ThresholdSuggestion

REASONS = {
    Verdict.SEPARATED: "It parts noise of about {noise_floor_db:.0f} dBFS from signal of about "
    "{active_db:.0f} dBFS.",
    Verdict.RAISED: "It parts noise of about {noise_floor_db:.0f} dBFS from signal of about "
    "{active_db:.0f} dBFS, raised so that the gate closes again.",
    Verdict.ABOVE_FLOOR: "It lies {distance_db:g} dB above a noise floor of "
    "{noise_floor_db:.0f} dBFS.",
    Verdict.NOISE_ONLY: "Nothing stands out of a noise of about {noise_floor_db:.0f} dBFS: "
    "the gate stays closed. If it is no noise, give a threshold with -t.",
    Verdict.SILENT: "There is nothing but digital silence: nothing to gate.",
    Verdict.TOO_SHORT: "The recording is too short to tell noise from signal.",
    Verdict.TOO_LOUD: "Levels of {distance_db:.0f} dBFS are far above full scale, 1.0: "
    "scale the samples first.",
    Verdict.NARROW: "Nearly all levels lie within {distance_db:.0f} dB: a gate would only pump.",
    Verdict.INDISTINCT: "There is no telling noise from signal, it sounds all alike: "
    "the gate stays open.",
    Verdict.LOW_CONTRAST: "The signal is only {distance_db:.0f} dB above the noise, a gate would "
    "pump: it stays open. To turn down the quiet parts all the same, try -t LEVEL with "
    "--range -8dB.",
    Verdict.STEADY_TONE: "This is a steady tone rather than a noise: the gate stays open. "
    "If it is noise, give a threshold with -t.",
    Verdict.RARE_EVENT: "Something rare stands {distance_db:.0f} dB out of the rest: "
    "the gate stays open. Give a threshold with -t.",
    Verdict.MUSIC_LIKE: "What is quiet here moves like music, not like noise: "
    "the gate stays open. If it is noise, give a threshold with -t.",
    Verdict.TONAL: "What is quiet here consists of tones, as music does, not of noise: "
    "the gate stays open. If it is noise, give a threshold with -t.",
}
"""Sentence for each verdict, formatted with the numbers of a `ThresholdSuggestion`."""

PUMPING_HINT = " They are only {distance_db:.0f} dB apart: if it pumps, try --range -8dB."

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
    return sentence.format(**numbers)
