"""Other tracks of the same session: aligned with a recording, and read for their bleed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.api.sources import FileSource, Source
from noisegate_cli.errors import AudioError, SettingsError, SignalError
from noisegate_cli.files.audio_info import STDIO_PATH, quote_input
from noisegate_cli.files.outputs.target import is_same_file
from noisegate_cli.gating.alignment import Alignment, find_alignment
from noisegate_cli.gating.alignment_probe import MARGIN_WINDOWS, AlignmentProbe
from noisegate_cli.gating.bleed.references import (
    MIN_COMMON_BANDS,
    ReferencePowers,
    count_common_bands,
)
from noisegate_cli.gating.bleed.report import BleedReport
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import LearnedBleed


@dataclass(frozen=True, slots=True)
class OtherTrack:
    """Another track of the same session, whose bleed is excluded.

    Attributes
    ----------
    path : Path or None
        None for an array.
    alignment : Alignment or None
        Relation between the clocks; None if it is not known, so that the track is not used.
    level_db : float or None
        Level of its bleed, relative to its level in its own track; None if it is not used, or if
        own sound and bleed cannot be distinguished.
    """

    path: Path | None
    alignment: Alignment | None
    level_db: float | None = None


def open_tracks(
    paths: Sequence[str | Path], settings: GateSettings, skip_unreadable: bool
) -> tuple[list[FileSource], list[str]]:
    """Return other tracks, and warnings about those that are skipped.

    Raises
    ------
    AudioError
        If a track cannot be read and `skip_unreadable` is false.
    SettingsError
        If a track is standard input.
    """
    sources, warnings = [], []
    for path in map(Path, paths):
        if path == STDIO_PATH:
            raise SettingsError("against= needs files: standard input can be read only once")
        try:
            sources.append(FileSource.open(path, settings))
        except AudioError as error:
            if not skip_unreadable:
                raise
            warnings.append(f"another track is not used: {error}")
    return sources, warnings


def open_other_tracks(
    path: str | Path,
    against: Sequence[str | Path],
    settings: GateSettings,
    source: Source,
    skip_unreadable: bool = False,
) -> "OtherTracks":
    """Return the other tracks of the recording at `path`, after checking that they can be read.

    Raises
    ------
    AudioError
        If a track cannot be read and `skip_unreadable` is false.
    SettingsError
        If a track is the recording itself, standard input, or is given twice.
    """
    check_other_paths(Path(path), against)
    tracks, warnings = open_tracks(against, settings, skip_unreadable)
    return OtherTracks(tracks, settings, source.sample_rate, source.channels, warnings)


def check_other_paths(path: Path, against: Sequence[str | Path]) -> None:
    """Raise SettingsError if another track is the recording itself, or is given twice."""
    previous = [path]
    for other in map(Path, against):
        for known in previous:
            if is_same_file(other, known):
                reason = "is the recording itself" if known is path else "is given twice"
                raise SettingsError(
                    f"{quote_input(other)} {reason}: give other tracks of the same session"
                )
        previous.append(other)


class OtherTracks:
    """The other tracks of a recording.

    Parameters
    ----------
    tracks
        The other tracks.
    settings
        Settings of the gate.
    sample_rate, channels
        Of the recording.
    warnings
        Warnings about other tracks that were given and are not among `tracks`.
    """

    def __init__(
        self,
        tracks: Sequence[Source],
        settings: GateSettings,
        sample_rate: int,
        channels: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self._tracks = tracks
        self._probe = AlignmentProbe(sample_rate)
        self._extractor = BandLevelExtractor(settings, sample_rate, channels)
        self._alignments: list[Alignment | None] = [None] * len(tracks)
        self.warnings = list(warnings)

    def __bool__(self) -> bool:
        return bool(self._tracks)

    @property
    def used(self) -> list[tuple[Source, Alignment]]:
        """The tracks that are used, with their alignments."""
        pairs = zip(self._tracks, self._alignments, strict=True)
        return [(track, alignment) for track, alignment in pairs if alignment]

    def probe(self, blocks: Blocks) -> Blocks:
        """Yield the blocks of the recording, and store what `align` needs."""
        for block, last in blocks:
            self._probe.process(block, last)
            yield block, last

    @contextmanager
    def align(self) -> Iterator[list[ReferencePowers]]:
        """Find lag and clock drift of all tracks, and yield as `open_references` does.

        All blocks of the recording must have passed `probe`.
        """
        for index, track in enumerate(self._tracks):
            other = AlignmentProbe(track.sample_rate, MARGIN_WINDOWS)
            with track.name_in_errors():
                process_all(other, track.blocks())
            alignment = find_alignment(self._probe, other)
            if alignment is None:
                self.warnings.append(
                    f"{track.name} has no sound in common with this recording, or their clocks "
                    "differ too much: it is not used"
                )
            elif count_common_bands(self._extractor, track.sample_rate) < MIN_COMMON_BANDS:
                self.warnings.append(
                    f"{track.name} has too low a sample rate ({track.sample_rate} Hz): "
                    "it is not used"
                )
                alignment = None
            self._alignments[index] = alignment
        with self.open_references() as references:
            yield references

    @contextmanager
    def open_references(self) -> Iterator[list[ReferencePowers]]:
        """Yield the powers of the tracks that are used, each at its beginning."""
        with ExitStack() as stack:
            yield [
                ReferencePowers(
                    stack.enter_context(closing(track.blocks())),
                    track.sample_rate,
                    alignment,
                    self._extractor,
                )
                for track, alignment in self.used
            ]

    def report(self, bleed: BleedReport | None) -> tuple[OtherTrack, ...]:
        """Return the tracks with their alignments and the levels of their bleed."""
        levels: dict[int, float] = {}
        for _, reference, level_db in bleed.levels if bleed else ():
            if level_db is not None:
                levels[reference] = max(level_db, levels.get(reference, level_db))
        numbers = iter(range(len(self._tracks)))
        return tuple(
            OtherTrack(track.path, alignment, levels.get(next(numbers)) if alignment else None)
            for track, alignment in zip(self._tracks, self._alignments, strict=True)
        )


def check_bleed(bleed: "LearnedBleed", others: OtherTracks | None) -> None:
    """Raise SignalError if another track or channel contains the same sound as the recording.

    Other tracks cause a warning if their bleed cannot be distinguished from the own sound.
    """
    if bleed.identical:
        gate, reference = bleed.identical[0]
        if others:
            raise SignalError(
                f"{others.used[reference][0].name} contains the same sound as this recording: "
                "give the track of another microphone"
            )
        raise SignalError(
            f"channels {gate + 1} and {reference + 1} contain the same sound: "
            "channels='exclusive' needs one source in each channel"
        )
    if others and not any(bleed.models):
        others.warnings.append(
            "no bleed can be distinguished from its own sound: the gate does not close for it"
        )
