"""Settings of each recording of a batch: shared thresholds, its key, the tracks of its session."""

import os
from functools import lru_cache

from noisegate_cli.batch.encoded_settings import digest_text, encode_settings
from noisegate_cli.batch.interface import BatchConfig
from noisegate_cli.batch.keys import Keys
from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.records import Recording
from noisegate_cli.batch.thresholds import SharedThresholds
from noisegate_cli.gating.settings import GateSettings

MAX_SESSION_TRACKS = 64
"""Maximum number of tracks in a session, because each of them is compared with all others."""


class RecordingSettings:
    """Settings of each recording.

    Parameters
    ----------
    batch
        Configuration of the batch.
    plan
        Plan with all recordings.
    """

    def __init__(self, batch: BatchConfig, plan: Plan) -> None:
        self._batch = batch
        self._list_folder = lru_cache(maxsize=8)(plan.list_folder)
        self.thresholds: SharedThresholds | None = None
        """Shared thresholds; None if each recording has its own."""
        self._keys = None if batch.key is None else Keys(batch.key, batch.settings)

    def choose(self, name: str) -> GateSettings:
        """Return the settings of the recording called `name`."""
        return self.thresholds.settings_for(name) if self.thresholds else self._batch.settings

    def encode(self, recording: Recording) -> str:
        """Return what the output of a recording depends on as JSON."""
        tracks = self._compute_fingerprint(recording) if self._batch.tracks else None
        key = self._keys.fingerprint(recording.name) if self._keys else None
        return encode_settings(self.choose(recording.name), self._batch.options, tracks, key)

    def shared_fingerprint(self, name: str) -> str | None:
        """Return the digest of the recordings that share a threshold; None if it is not shared."""
        return self.thresholds.fingerprint_for(name) if self.thresholds else None

    def find_key(self, name: str) -> str | None:
        """Return the path of the recording that opens the gate, if there is one."""
        return self._keys.find(name) if self._keys else None

    def list_other_tracks(self, recording: Recording) -> tuple[str, ...]:
        """Return the paths of the other tracks of the session of a recording."""
        others = self._find_other_tracks(recording) if self._batch.tracks else []
        return tuple(os.path.join(self._batch.root, track.name) for track in others)

    def _find_other_tracks(self, recording: Recording) -> list[Recording]:
        """Return the other recordings of the folder, which are the tracks of one session."""
        tracks = self._list_folder(os.path.dirname(recording.name))
        return [track for track in tracks if track.name != recording.name]

    def _compute_fingerprint(self, recording: Recording) -> str:
        """Return a digest of the other tracks, with their sizes and times."""
        others = [(t.name, t.size, t.mtime_ns) for t in self._find_other_tracks(recording)]
        return digest_text(repr(others))
