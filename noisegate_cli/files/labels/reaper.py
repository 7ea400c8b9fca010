"""Project of REAPER: the recording as it was, with the gain of the gate as a volume envelope.

Source: https://github.com/ReaTeam/Doc/blob/master/State%20Chunk%20Definitions
"""

from pathlib import Path

from noisegate_cli.files.labels.track import Envelope, LabelFormat, LabelTrack, format_seconds

SOURCE_TYPES = {"flac": "FLAC", "mp3": "MP3", "ogg": "VORBIS", "opus": "VORBIS", "wav": "WAVE"}
"""Source type by extension. REAPER decodes all others as it decodes videos."""

FIRST_CHANNEL_MODE, CHANNEL_65_MODE = 3, 131
"""Channel modes of items that play only channel 1 or 65; the modes of the next channels follow."""


def write(track: LabelTrack) -> str:
    """Return a project with a track for all channels, or one for each gated channel."""
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0']
    for number, mark in enumerate(track.marks, 1):
        lines.append(f"  MARKER {number} {format_seconds(mark.time)} {_quote(mark.text)} 0")
    for number, envelope in enumerate(track.envelopes):
        mode = _choose_channel_mode(number) if len(track.envelopes) > 1 else 0
        lines += [f"  {line}" for line in _format_track(track, envelope, mode)]
    return "\n".join([*lines, ">"]) + "\n"


def _choose_channel_mode(channel: int) -> int:
    """Return the mode of an item that plays one channel, counted from 0."""
    return FIRST_CHANNEL_MODE + channel if channel < 64 else CHANNEL_65_MODE + channel - 64


def _format_track(track: LabelTrack, envelope: Envelope, channel_mode: int) -> list[str]:
    # REAPER looks for a relative path from the folder of the project.
    name, path = _quote(track.name), _quote(str(Path(track.path).absolute()))
    source = SOURCE_TYPES.get(track.name.rpartition(".")[2].lower(), "VIDEO")
    return [
        "<TRACK",
        f"  NAME {name}",
        "  <VOLENV2",
        "    ACT 1 -1",
        "    VIS 1 1 1",
        *(f"    PT {format_seconds(time)} {gain:.9g} 0" for time, gain in envelope),
        "  >",
        "  <ITEM",
        "    POSITION 0",
        f"    LENGTH {format_seconds(track.duration)}",
        f"    NAME {name}",
        f"    CHANMODE {channel_mode}",
        f"    <SOURCE {source}",
        f"      FILE {path}",
        "    >",
        "  >",
        ">",
    ]


def _quote(text: str) -> str:
    """Return a text in the quotes that it does not contain; REAPER has no escapes."""
    line = " ".join(text.split("\n"))
    quote = next((quote for quote in "\"'`" if quote not in line), None)
    return f"{quote}{line}{quote}" if quote else "`" + line.replace("`", "'") + "`"


FORMAT = LabelFormat("REAPER project", write)
