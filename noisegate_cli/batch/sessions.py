"""Sessions of a batch: the recordings of a folder are the tracks of one session."""

import os
from functools import lru_cache
from hashlib import blake2b

from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.records import Recording

MAX_SESSION_TRACKS = 64
"""Maximum number of tracks in a session, because each of them is compared with all others."""


class Sessions:
    """Finds the other tracks of each recording.

    Parameters
    ----------
    plan
        Plan with all recordings.
    """

    def __init__(self, plan: Plan) -> None:
        self._list_folder = lru_cache(maxsize=8)(plan.list_folder)

    def others(self, recording: Recording) -> list[Recording]:
        """Return the other tracks of the session of a recording."""
        tracks = self._list_folder(os.path.dirname(recording.name))
        return [track for track in tracks if track.name != recording.name]

    def fingerprint(self, recording: Recording) -> str:
        """Return a digest of the other tracks, with their sizes and times."""
        others = [(track.name, track.size, track.mtime_ns) for track in self.others(recording)]
        return blake2b(repr(others).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
