"""Another recording as the key: opened, measured, and aligned with the recording."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.api.first_pass import decide, measure_file
from noisegate_cli.api.progress import (
    FIRST_PASS_SHARE,
    ProgressCallback,
    report_progress,
    scale_progress,
)
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.formats import STDIO_PATH
from noisegate_cli.files.reader import AudioReader, Reader, add_path_to_errors
from noisegate_cli.gating.alignment import (
    MARGIN_WINDOWS,
    Alignment,
    AlignmentProbe,
    find_alignment,
)
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import ForcedStretches
from noisegate_cli.gating.key import KeySource
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.samples import Samples

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.noise_profile import NoiseProfiles


@dataclass(frozen=True, slots=True)
class KeyTrack:
    """A recording that opened the gate of another one."""

    path: Path
    alignment: Alignment | None
    """Relation between the clocks; None if they have no sound in common, so that both recordings
    were taken to start together."""


def check_key(key: str | Path, settings: GateSettings, forced: ForcedStretches) -> None:
    """Raise SettingsError if the settings exclude another recording as the key."""
    if Path(key) == STDIO_PATH:
        raise SettingsError("key= needs a file: standard input can be read only once")
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


def decide_with_key(
    reader: Reader,
    settings: GateSettings,
    noises: "NoiseProfiles",
    forced: ForcedStretches,
    others: "OtherTracks | None",
    progress: ProgressCallback,
    key: str | Path | None,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision, by the key if there is one, and the rest of the progress."""
    if key is None:
        return decide(reader, settings, noises, forced, others, progress)
    assert isinstance(reader, AudioReader)  # because it is not a live stream
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    decision = decide_by_key(reader, key, settings, forced, first_pass)
    return decision, scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def decide_by_key(
    reader: AudioReader,
    key: str | Path,
    settings: GateSettings,
    forced: ForcedStretches,
    progress: ProgressCallback,
) -> GateDecision:
    """Return the decision for a gate that another recording opens.

    Parameters
    ----------
    reader
        The recording; it is read again for the alignment.
    key
        Path of the key.
    settings
        Settings of the gate; the threshold is compared with the key.
    forced
        Stretches in which the gate is open or closed.
    progress
        Called with the finished share of the work.

    Raises
    ------
    AudioError
        If the key cannot be read; the message quotes its path.
    SettingsError
        If the settings exclude a key.
    """
    check_key(key, settings, forced)
    path = Path(key)
    with AudioReader(path, zero_nonfinite=settings.zero_nonfinite) as key_reader:
        info = key_reader.info
        with add_path_to_errors(path):
            settings.key_band(info.sample_rate)
        decision = GateDecision.from_settings(settings, forced=forced)
        if decision is None:
            decision = measure_file(key_reader, settings, (), lambda _: None).decide()
    source = KeySource(
        lambda: _read(path, settings),
        info.sample_rate,
        info.channels,
        decision.rule,
        decision.heard_channels,
        decision.subsample,
    )
    source = replace(source, alignment=_align(reader, path, source, progress))
    return GateDecision(decision.rule, settings, decision.suggestion, forced=forced, key=source)


def _align(
    reader: AudioReader, path: Path, source: KeySource, progress: ProgressCallback
) -> Alignment | None:
    info = reader.info
    probe = AlignmentProbe(info.sample_rate)
    with reader.reopen() as again, add_path_to_errors(info.path):
        for block, last in report_progress(again.blocks(), info.samples, progress):
            probe.process(block, last)
    key_probe = AlignmentProbe(source.sample_rate, MARGIN_WINDOWS)
    with add_path_to_errors(path):
        for block, last in source.read():
            key_probe.process(block, last)
    return find_alignment(probe, key_probe)


def _read(path: Path, settings: GateSettings) -> Iterator[tuple[Samples, bool]]:
    """Yield the blocks of a recording, which is closed with the iterator."""
    with (
        AudioReader(path, zero_nonfinite=settings.zero_nonfinite) as reader,
        add_path_to_errors(path),
    ):
        yield from reader.blocks()
