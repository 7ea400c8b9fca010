"""Cut-offs in a recording: their number, and the worst of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from noisegate_cli.gating.report import Report
from noisegate_cli.text import format_repr

MAX_LISTED_CUTOFFS = 10
"""Number of the worst cut-offs in a list for a reader."""

MAX_MARKED_CUTOFFS = 200
"""Number of the worst cut-offs in plots and labels: more marks would cover each other."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One place where the gate cut a sound.

    Attributes
    ----------
    time : float
        Time in seconds from the start of the recording.
    kind : {"decay", "attack"}
        Whether the gate closed during a decay or opened during an attack.
    above_db : float
        Level of the sound at the cut, relative to the pause, in dB.
    lasts : float
        Time in seconds during which the cut sound stays audible above the pause.
    """

    time: float
    kind: Literal["decay", "attack"]
    above_db: float
    lasts: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class CutoffReport(Report):
    """Number of cut decays and attacks, and the worst of them.

    Attributes
    ----------
    decays : int
        Number of cut decays.
    attacks : int
        Number of cut attacks.
    marked : tuple of Cutoff
        The worst 200 cut-offs at most, sorted by time.
    """

    decays: int = 0
    attacks: int = 0
    marked: tuple[Cutoff, ...] = ()

    def __repr__(self) -> str:
        return format_repr(self, "decays", "attacks")

    @property
    def worst(self) -> tuple[Cutoff, ...]:
        """The worst 10 cut-offs at most, sorted by time."""
        return select_worst(self.marked, MAX_LISTED_CUTOFFS)

    @property
    def count(self) -> int:
        """Number of all cut-offs."""
        return self.decays + self.attacks


def select_worst(cutoffs: Sequence[Cutoff], number: int) -> tuple[Cutoff, ...]:
    """Return the worst cut-offs, sorted by time."""
    worst = sorted(cutoffs, key=lambda c: (-c.above_db, c.time, c.kind))[:number]
    return tuple(sorted(worst, key=lambda c: (c.time, c.kind)))
