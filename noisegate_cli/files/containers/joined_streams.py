"""Find where another WAV or AU file begins in a stream of samples of unknown length."""

import re

from noisegate_cli.files.containers.joined_files import AU_START

FORM_TYPE_OFFSET = 8
START_BYTES = 12
FILE_START_RE = re.compile(rb"(?:RIFF|RIFX|RF64).{4}WAVE", re.DOTALL)
FILE_IDS, FORM_TYPE = (b"RIFF", b"RIFX", b"RF64"), b"WAVE"

AU_MAGIC, AU_HEADER_BYTES = b".snd", 24
AU_START_RE = re.compile(AU_START)


def find_next_file(octets: bytes, is_au: bool = False) -> tuple[int, bool]:
    """Find the beginning of a WAV file, or of an AU file, in the next bytes of a stream.

    Returns
    -------
    end : int
        Number of bytes before the file. If there is none, number of bytes before the end that could
        be the beginning of one whose rest is not there yet.
    is_found : bool
        Whether a file begins at `end`.

    Examples
    --------
    >>> find_next_file(b"samplesRIFF1234WAVEfmt ")
    (7, True)
    >>> find_next_file(b"samplesRIFF12")
    (7, False)
    """
    match = (AU_START_RE if is_au else FILE_START_RE).search(octets)
    if match:
        return match.start(), True
    start_bytes, is_start = (AU_HEADER_BYTES, _is_au_start) if is_au else (START_BYTES, _is_start)
    for length in range(min(start_bytes - 1, len(octets)), 0, -1):
        if is_start(octets[-length:]):
            return len(octets) - length, False
    return len(octets), False


def _is_start(octets: bytes) -> bool:
    """Return whether a file could begin with these bytes, which are too few to decide."""
    has_id = any(name.startswith(octets[:4]) for name in FILE_IDS)
    return has_id and FORM_TYPE.startswith(octets[FORM_TYPE_OFFSET:])


def _is_au_start(octets: bytes) -> bool:
    return AU_MAGIC.startswith(octets[: len(AU_MAGIC)])
