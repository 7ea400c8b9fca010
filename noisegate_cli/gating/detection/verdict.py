"""Verdict on whether signal and noise can be separated."""

from enum import StrEnum


class Verdict(StrEnum):
    """Result of the separation of signal and noise.

    Examples
    --------
    >>> Verdict.SEPARATED == "separated"
    True
    """

    SEPARATED = "separated"
    """Signal and noise are separable."""
    RAISED = "raised"
    """Signal and noise are separable; the threshold is raised so that the gate closes again."""
    ABOVE_FLOOR = "above_floor"
    """The threshold is a requested distance above the noise floor."""
    NOISE_ONLY = "noise_only"
    """There is no signal, and the gate stays closed."""
    SILENT = "silent"
    """There is only digital silence."""
    TOO_SHORT = "too_short"
    """There are too few frames."""
    TOO_LOUD = "too_loud"
    """The levels are far above full scale."""
    NARROW = "narrow"
    """Nearly all levels lie within a few dB."""
    INDISTINCT = "indistinct"
    """There are too few frames of signal or of noise."""
    LOW_CONTRAST = "low_contrast"
    """The levels of signal and noise hardly differ."""
    STEADY_TONE = "steady_tone"
    """The recording is a steady tone rather than noise."""
    RARE_EVENT = "rare_event"
    """The subsample contains no signal, but the rest of the recording does."""
    MUSIC_LIKE = "music_like"
    """The quiet frames fluctuate like music."""
    TONAL = "tonal"
    """What seems to be noise is tonal, like music."""
