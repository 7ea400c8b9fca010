"""Channel mapping of Opus: the meaning of the channels (RFC 7845, 5.1.1; RFC 8486).

Channels of the families 0 and 1 have speaker positions, those of family 2 are ambisonic components
(ACN, SN3D), and those of family 255 have no defined meaning.
"""

from math import isqrt
from pathlib import Path

POSITIONED_FAMILY, PROJECTION_FAMILY = 1, 3

OGG_PAGE_HEADER_BYTES = 28
"""Size of the header of the first page, which holds only the header of Opus."""

OPUS_HEADER_BYTES = 19


def read_mapping_family(path: Path, start: int = 0) -> int:
    """Return the channel mapping family of an Ogg Opus file that begins at a position."""
    with path.open("rb") as file:
        file.seek(start)
        return parse_mapping_family(file.read(OGG_PAGE_HEADER_BYTES + OPUS_HEADER_BYTES)[28:])


def parse_mapping_family(header: bytes) -> int:
    """Return the channel mapping family in the header of a stream; 0 if it is incomplete."""
    return header[18] if len(header) >= OPUS_HEADER_BYTES else 0


def unpositioned_family(family: int) -> int:
    """Return the family if its channels have no speaker positions, or else 0."""
    return family if family > POSITIONED_FAMILY else 0


def ambisonic_layout(channels: int) -> str:
    """Return FFmpeg's name for the layout of ambisonic channels, with or without a stereo pair.

    Examples
    --------
    >>> ambisonic_layout(9), ambisonic_layout(11)
    ('ambisonic 2', 'ambisonic 2+stereo')
    """
    order = isqrt(channels) - 1
    return f"ambisonic {order}" + ("+stereo" if channels == (order + 1) ** 2 + 2 else "")
