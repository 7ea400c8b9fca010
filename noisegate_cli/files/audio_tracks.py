"""The audio tracks of a container that can hold several."""

from collections.abc import Sequence
from typing import NamedTuple

from noisegate_cli.errors import AudioError
from noisegate_cli.files.formats import usual_name


class AudioTrack(NamedTuple):
    """An audio track of a container that holds several tracks.

    Attributes
    ----------
    title : str
        Title; empty if it has none.
    language : str
        Code of the language, such as `eng`; empty if it is unknown.
    codec : str
        FFmpeg's name of the codec.
    channels : int
        Number of channels; 0 if it is unknown.
    """

    title: str = ""
    language: str = ""
    codec: str = ""
    channels: int = 0

    def __str__(self) -> str:
        facts = [
            self.language,
            usual_name(self.codec),
            f"{self.channels} ch" if self.channels else "",
        ]
        known = ", ".join(filter(None, facts))
        return f"{self.title!r} ({known})" if self.title else f"({known})"


def check_track(name: str, track: int | None, tracks: Sequence[AudioTrack]) -> None:
    """Check that the recording called `name` has the audio track of that number.

    Raises
    ------
    AudioError
        If it does not; the message lists the tracks.
    """
    count = max(1, len(tracks))
    if track is None or 1 <= track <= count:
        return
    if count == 1:
        raise AudioError(f"{name} has one audio track, and no track {track}: omit track=")
    listed = ", ".join(f"{number} {item}" for number, item in enumerate(tracks, 1))
    raise AudioError(
        f"{name} has {count} audio tracks, and no track {track}: give track= one of {listed}"
    )
