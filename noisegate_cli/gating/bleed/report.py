"""What a gate reports about bleed."""

from dataclasses import dataclass
from typing import NamedTuple

from noisegate_cli.gating.report import Report


class BleedLevel(NamedTuple):
    """Level of the bleed of one other track in one gate.

    Attributes
    ----------
    gate : int
        Index of the gate.
    reference : int
        Index of the other track, or of the other channel.
    level_db : float or None
        Relative to the level of the sound in its own track; None if own sound and bleed cannot be
        distinguished, so that no bleed is excluded.
    """

    gate: int
    reference: int
    level_db: float | None


@dataclass(frozen=True, slots=True)
class BleedReport(Report):
    """Bleed of other tracks, and how much of the recording is closed because of it.

    Attributes
    ----------
    levels : tuple of BleedLevel
        Level of the bleed of each track in each gate.
    closed_share : float
        Share of the time in which the gates are closed only because of bleed, 0 to 1.
    """

    levels: tuple[BleedLevel, ...]
    closed_share: float
