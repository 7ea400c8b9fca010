"""Another recording as the key: opened, measured, and aligned with the recording."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate_cli.api.first_pass import decide
from noisegate_cli.api.other_tracks import TrackSource, open_track
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
from noisegate_cli.samples import Blocks

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.noise_profile import NoiseProfiles


@dataclass(frozen=True, slots=True)
class KeyTrack:
    """A recording that opened the gate of another one."""

    path: Path | None
    """None for an array."""
    alignment: Alignment | None
    """Relation between the clocks; None if they have no sound in common, so that both recordings
    were taken to start together."""


def open_key(key: str | Path, settings: GateSettings) -> TrackSource:
    """Return the source of a key in a file.

    Raises
    ------
    AudioError
        If the recording cannot be read; the message quotes its path.
    SettingsError
        If it is standard input.
    """
    if Path(key) == STDIO_PATH:
        raise SettingsError("key= needs a file: standard input can be read only once")
    return open_track(key, settings)


def check_key(settings: GateSettings, forced: ForcedStretches, has_others: bool) -> None:
    """Raise SettingsError if the settings exclude another recording as the key."""
    if has_others:
        raise SettingsError(
            "the bleed in a key= is not excluded by against=: gate the key against the other "
            "tracks first, and give the result as key="
        )
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
    check_key(settings, forced, bool(others))
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    source, info = open_key(key, settings), reader.info
    with reader.reopen() as again, add_path_to_errors(info.path):
        blocks = report_progress(again.blocks(), info.samples, first_pass)
        decision = decide_by_key(blocks, info.sample_rate, source, settings, forced)
    return decision, scale_progress(progress, FIRST_PASS_SHARE, 1.0)


def decide_by_key(
    blocks: Blocks,
    sample_rate: int,
    key: TrackSource,
    settings: GateSettings,
    forced: ForcedStretches,
) -> GateDecision:
    """Return the decision for a gate that another recording opens.

    Parameters
    ----------
    blocks
        The recording, which is read for the alignment.
    sample_rate
        Of the recording, in Hz.
    key
        The key.
    settings
        Settings of the gate; the threshold is compared with the key.
    forced
        Stretches in which the gate is open or closed.

    Raises
    ------
    AudioError
        If the key cannot be read; the message begins with its name.
    """
    with key.add_name_to_errors():
        settings.key_band(key.sample_rate)
        decision = GateDecision.from_settings(settings, forced=forced)
        if decision is None:
            decision = _measure(key, settings)
    probe, key_probe = AlignmentProbe(sample_rate), AlignmentProbe(key.sample_rate, MARGIN_WINDOWS)
    for block, last in blocks:
        probe.process(block, last)
    with key.add_name_to_errors():
        for block, last in key.read_once():
            key_probe.process(block, last)
    source = KeySource(
        key.read_once,
        key.sample_rate,
        key.channels,
        decision.rule,
        decision.heard_channels,
        decision.subsample,
        find_alignment(probe, key_probe),
    )
    return GateDecision(decision.rule, settings, decision.suggestion, forced=forced, key=source)


def _measure(key: TrackSource, settings: GateSettings) -> GateDecision:
    """Return the decision of a gate for the key itself."""
    from noisegate_cli.gating.heard_channels import measure_heard_channels

    return measure_heard_channels(
        key.read_once(), key.read_once, settings, key.sample_rate, key.channels, key.samples
    ).decide()
