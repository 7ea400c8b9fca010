"""Find out that an audio track is silent while another one is not."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from noisegate_cli.errors import AudioError
from noisegate_cli.files.audio_tracks import AudioTrack
from noisegate_cli.samples import Samples

BLOCK_SAMPLES = 1 << 16
"""Length of the blocks in which tracks are searched for sound."""


def warn_if_silent(
    blocks: Iterator[tuple[Samples, bool]],
    path: Path,
    track: int,
    tracks: Sequence[AudioTrack],
    warnings: list[str],
) -> Iterator[tuple[Samples, bool]]:
    """Yield blocks; add a warning at the end if all are silent but another track is not.

    Parameters
    ----------
    blocks
        Blocks of the track, each with a flag that marks the last one.
    path
        The recording.
    track
        Number of the track, from 1.
    tracks
        All audio tracks of the recording.
    warnings
        List to which the warning is added.
    """
    is_silent = True
    for block, last in blocks:
        is_silent = is_silent and not block.any()
        if last and is_silent:
            others = (number for number in range(1, len(tracks) + 1) if number != track)
            other = next((number for number in others if _has_sound(path, number)), None)
            if other:
                warnings.append(
                    f"audio track {track} is silent, but track {other} "
                    f"{tracks[other - 1]} is not: track={other} selects it"
                )
        yield block, last


def _has_sound(path: Path, track: int) -> bool:
    """Return whether a sample of a track is not zero."""
    from noisegate_cli.files.ffmpeg.decoder import PyavDecoder

    try:
        with PyavDecoder(path, track=track) as decoder:
            return any(block.any() for block, _ in decoder.blocks(BLOCK_SAMPLES))
    except AudioError:
        return False
