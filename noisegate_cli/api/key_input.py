"""Another recording as the key: opened, measured, and aligned with the recording."""

from dataclasses import dataclass
from pathlib import Path

from noisegate_cli.api.first_pass import measure
from noisegate_cli.api.progress import ProgressCallback, report_progress
from noisegate_cli.api.sources import FileSource, Source
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.audio_info import STDIO_PATH
from noisegate_cli.gating.alignment import Alignment, find_alignment
from noisegate_cli.gating.alignment_probe import MARGIN_WINDOWS, AlignmentProbe
from noisegate_cli.gating.block_processor import process_all
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.key import KeySource
from noisegate_cli.gating.settings import GateSettings


@dataclass(frozen=True, slots=True)
class KeyTrack:
    """A recording that opened the gate of another one.

    Attributes
    ----------
    path : Path or None
        None for an array.
    alignment : Alignment or None
        Relation between the clocks; None if the recordings have no sound in common, so that they
        were assumed to start together.
    """

    path: Path | None
    alignment: Alignment | None


def open_key(key: str | Path, settings: GateSettings) -> FileSource:
    """Return the key in a file.

    Raises
    ------
    AudioError
        If it cannot be read; the message quotes its path.
    SettingsError
        If it is standard input.
    """
    if Path(key) == STDIO_PATH:
        raise SettingsError("key= needs a file: standard input can be read only once")
    return FileSource.open(Path(key), settings)


def check_key(settings: GateSettings, forced: ForcedSegments = NOT_FORCED) -> None:
    """Raise SettingsError if the settings exclude another recording as the key."""
    if settings.channels != "linked":
        raise SettingsError(
            f"channels={settings.channels!r} gives each channel its own detector, "
            "and a key opens all of them: omit one of them"
        )
    if settings.spectral != "off":
        raise SettingsError(
            "spectral=True learns the noise from the pauses of the recording, and a key has other "
            "pauses: omit one of them"
        )
    if settings.target_floor_db is not None:
        raise SettingsError(
            "target_floor_db= needs the pauses of the recording, and a key has other pauses: "
            "give range_db="
        )
    if forced.segments is not None:
        raise SettingsError("segments= and key= both say where the gate is open: give one of them")


def decide_by_key(
    source: Source,
    key: Source,
    settings: GateSettings,
    forced: ForcedSegments,
    progress: ProgressCallback,
) -> GateDecision:
    """Return the decision for a gate that another recording opens.

    Parameters
    ----------
    source
        The recording; it is read for the alignment.
    key
        The key.
    settings
        Settings of the gate; the threshold is compared with the key.
    forced
        Segments in which the gate is open or closed.
    progress
        Called with the finished share of the work.

    Raises
    ------
    AudioError
        If the key cannot be read; the message begins with its name.
    SettingsError
        If the settings exclude a key.
    """
    check_key(settings, forced)
    with key.name_in_errors():
        settings.key_band(key.sample_rate)
    decision = GateDecision.from_settings(settings, forced=forced)
    if decision is None:
        decision = measure(key, settings, lambda _: None, reports=False).decide()
    key_source = KeySource(
        key.blocks,
        key.sample_rate,
        key.channels,
        decision.rule,
        decision.active_channels,
        decision.subsample,
        alignment=_align(source, key, progress),
    )
    return GateDecision(decision.rule, settings, decision.suggestion, forced=forced, key=key_source)


def _align(source: Source, key: Source, progress: ProgressCallback) -> Alignment | None:
    probe = AlignmentProbe(source.sample_rate)
    with source.name_in_errors():
        process_all(probe, report_progress(source.blocks(), source.samples, progress))
    key_probe = AlignmentProbe(key.sample_rate, MARGIN_WINDOWS)
    with key.name_in_errors():
        process_all(key_probe, key.blocks())
    return find_alignment(probe, key_probe)
