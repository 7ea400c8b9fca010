"""Other tracks of the same session: aligned with a recording, and read for their bleed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli.api.array_input import split_blocks
from noisegate_cli.errors import AudioError, SettingsError, SignalError
from noisegate_cli.files.formats import STDIO_PATH
from noisegate_cli.files.output_target import is_same_file
from noisegate_cli.files.reader import AudioReader
from noisegate_cli.gating.alignment import (
    MARGIN_WINDOWS,
    Alignment,
    AlignmentProbe,
    find_alignment,
)
from noisegate_cli.gating.bleed.report import BleedReport
from noisegate_cli.gating.detection.band_levels import BandLevelExtractor
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Blocks, Samples
from noisegate_cli.text import quote_path

if TYPE_CHECKING:
    from noisegate_cli.gating.bleed.learner import LearnedBleed
    from noisegate_cli.gating.bleed.references import ReferencePowers


@dataclass(frozen=True, slots=True)
class OtherTrack:
    """Another track of the same session, whose bleed is excluded."""

    path: Path | None
    """None for an array."""
    alignment: Alignment | None
    """Relation between the clocks; None if it is not known, so that the track is not used."""
    level_db: float | None = None
    """Level of its bleed, relative to its level in its own track; None if it is not used, or if own
    sound and bleed cannot be told apart."""


class TrackSource(NamedTuple):
    """A track that can be read several times."""

    name: str
    path: Path | None
    sample_rate: int
    channels: int
    samples: int
    """Length; 0 if unknown."""
    read: Callable[[ExitStack], Blocks]
    """Returns the blocks from the beginning; a file is closed with the stack."""

    def read_once(self) -> Iterator[tuple[Samples, bool]]:
        """Yield the blocks from the beginning; a file is closed with the iterator."""
        with ExitStack() as stack:
            yield from self.read(stack)

    @contextmanager
    def add_name_to_errors(self) -> Iterator[None]:
        """Add the name of the track to the message of a SignalError."""
        try:
            yield
        except SignalError as error:
            raise AudioError(f"{self.name}: {error}") from error


def open_track(path: str | Path, settings: GateSettings) -> TrackSource:
    """Return the source of another track.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    path = Path(path)

    def read(stack: ExitStack) -> Blocks:
        reader = AudioReader(path, zero_nonfinite=settings.zero_nonfinite)
        return stack.enter_context(reader).blocks()

    with AudioReader(path) as reader:
        info = reader.info
    return TrackSource(quote_path(path), path, info.sample_rate, info.channels, info.samples, read)


def open_tracks(
    paths: Sequence[str | Path], settings: GateSettings, skip_unreadable: bool
) -> tuple[list[TrackSource], list[str]]:
    """Return the sources of other tracks, and warnings about those that are skipped."""
    sources, warnings = [], []
    for path in paths:
        if Path(path) == STDIO_PATH:
            raise SettingsError("against= needs files: standard input can be read only once")
        try:
            sources.append(open_track(path, settings))
        except AudioError as error:
            if not skip_unreadable:
                raise
            warnings.append(f"another track is not used: {error}")
    return sources, warnings


def create_array_source(name: str, samples: Samples, sample_rate: int) -> TrackSource:
    """Return the source of another track in an array, shaped (samples, channels)."""
    length, channels = samples.shape
    return TrackSource(name, None, sample_rate, channels, length, lambda _: split_blocks(samples))


def check_other_paths(path: Path, against: Sequence[str | Path]) -> None:
    """Raise SettingsError if another track is the recording itself, or is given twice."""
    previous = [path]
    for other in map(Path, against):
        for known in previous:
            if is_same_file(other, known):
                reason = "is the recording itself" if known is path else "is given twice"
                raise SettingsError(
                    f"{quote_path(other)} {reason}: give other tracks of the same session"
                )
        previous.append(other)


class OtherTracks:
    """The other tracks of a recording.

    Parameters
    ----------
    sources
        The other tracks.
    settings
        Settings of the gate.
    sample_rate, channels
        Of the recording.
    warnings
        Warnings about other tracks that were given and are not among the sources.
    """

    def __init__(
        self,
        sources: Sequence[TrackSource],
        settings: GateSettings,
        sample_rate: int,
        channels: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self._sources = sources
        self._extractor = BandLevelExtractor(settings, sample_rate, channels) if sources else None
        self._probe = AlignmentProbe(sample_rate)
        self._alignments: list[Alignment | None] = [None] * len(sources)
        self.warnings = list(warnings)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def probe(self, blocks: Blocks) -> Blocks:
        """Yield the blocks of the recording, and store what `align` needs."""
        for block, last in blocks:
            self._probe.process(block, last)
            yield block, last

    @contextmanager
    def align(self) -> "Iterator[list[ReferencePowers]]":
        """Find lag and clock drift of all tracks, and yield as `open_references` does.

        All blocks of the recording must have passed `probe`.
        """
        assert self._extractor
        from noisegate_cli.gating.bleed.references import MIN_COMMON_BANDS, count_common_bands

        for index, source in enumerate(self._sources):
            other = AlignmentProbe(source.sample_rate, MARGIN_WINDOWS)
            with source.add_name_to_errors():
                for block, last in source.read_once():
                    other.process(block, last)
            alignment = find_alignment(self._probe, other)
            if alignment is None:
                self.warnings.append(
                    f"{source.name} has no sound in common with this recording: it is not used"
                )
            elif count_common_bands(self._extractor, source.sample_rate) < MIN_COMMON_BANDS:
                self.warnings.append(
                    f"{source.name} has too low a sample rate ({source.sample_rate} Hz): "
                    "it is not used"
                )
                alignment = None
            self._alignments[index] = alignment
        with self.open_references() as references:
            yield references

    @contextmanager
    def open_references(self) -> "Iterator[list[ReferencePowers]]":
        """Yield the powers of the tracks that are used, each at its beginning."""
        if not self._sources:  # A plain gate does not load the modules of bleed.
            yield []
            return
        from noisegate_cli.gating.bleed.references import ReferencePowers

        with ExitStack() as stack:
            yield [
                ReferencePowers(source.read(stack), source.sample_rate, alignment, self._extractor)
                for source, alignment in zip(self._sources, self._alignments, strict=True)
                if alignment and self._extractor
            ]

    def check_bleed(self, bleed: "LearnedBleed | None") -> None:
        """Raise SignalError if a track contains the same sound as the recording.

        Other tracks without any bleed that can be told from the own sound cause a warning.
        """
        if bleed is None:
            return
        if bleed.identical:
            gate, reference = bleed.identical[0]
            if not bleed.references:
                raise SignalError(
                    f"channels {gate + 1} and {reference + 1} contain the same sound: "
                    "channels='exclusive' needs one source in each channel"
                )
            used = [s for s, a in zip(self._sources, self._alignments, strict=True) if a]
            raise SignalError(
                f"{used[reference].name} contains the same sound as this recording: "
                "give the track of another microphone"
            )
        if not any(bleed.models):
            self.warnings.append(
                "no bleed can be distinguished from its own sound: the gate does not close for it"
            )

    def report(self, bleed: BleedReport | None) -> tuple[OtherTrack, ...]:
        """Return the tracks with their alignments and the levels of their bleed."""
        levels: dict[int, float] = {}
        for _, reference, level_db in bleed.levels if bleed else ():
            if level_db is not None:
                levels[reference] = max(level_db, levels.get(reference, level_db))
        tracks, used = [], 0
        for source, alignment in zip(self._sources, self._alignments, strict=True):
            track = OtherTrack(source.path, alignment)
            if alignment:
                track = replace(track, level_db=levels.get(used))
                used += 1
            tracks.append(track)
        return tuple(tracks)
