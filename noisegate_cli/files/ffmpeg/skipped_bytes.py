"""Find the bytes that FFmpeg skips between packets, because they are damaged."""

from pathlib import Path

PACKET_START_BYTES = 64
"""Number of bytes of a packet that are searched in the file."""

MAX_SKIPPED_BYTES = 1 << 20
"""Maximum number of bytes between two packets."""

ID3_MAGIC = b"ID3"


class SkippedBytesFinder:
    """Compare packets with the file that they come from.

    Parameters
    ----------
    path
        A file without a container, whose packets follow each other.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._position: int | None = None  # after the last packet

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(self, packet: bytes) -> int:
        """Return the number of bytes before the next packet that do not belong to a packet.

        Bytes before the first packet and ID3 tags do not count.
        """
        start, is_first = packet[:PACKET_START_BYTES], self._position is None
        self._file.seek(self._position or 0)
        following = self._file.read(len(start))
        if following == start:
            skipped = 0
        else:
            following += self._file.read(MAX_SKIPPED_BYTES)
            skipped = following.find(start)
        if skipped < 0:
            return 0
        self._position = (self._position or 0) + skipped + len(packet)
        return 0 if is_first or following.startswith(ID3_MAGIC) else skipped
