"""Keys of a batch: another recording opens the gate of each recording."""

import os
from functools import lru_cache
from pathlib import Path

from noisegate_cli.errors import AudioError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import quote_path


class Keys:
    """Finds the key of each recording.

    Parameters
    ----------
    key
        A recording that is the key of all, or a folder with a key for each recording: the file with
        the same path below it, with any extension.
    settings
        Settings of the gate.

    Raises
    ------
    AudioError
        If `key` does not exist.
    SettingsError
        If the settings exclude a key.
    """

    def __init__(self, key: Path, settings: GateSettings) -> None:
        from noisegate_cli.api.key_input import check_key

        check_key(settings)
        if not key.exists():
            raise AudioError(f"{quote_path(key)} does not exist: check the name")
        self._key, self._is_folder = key, key.is_dir()
        self._list_folder = lru_cache(maxsize=8)(_list_by_stem)

    def find(self, name: str) -> str:
        """Return the path of the key of the recording `name`; a missing one fails when opened."""
        if not self._is_folder:
            return str(self._key)
        same = os.path.join(self._key, name)
        if os.path.exists(same):
            return same
        folder, file = os.path.split(same)
        return os.path.join(folder, self._list_folder(folder).get(Path(file).stem, file))

    def fingerprint(self, name: str) -> str:
        """Return the path of the key with its size and time, as text."""
        path = self.find(name)
        try:
            status = os.stat(path)
        except OSError:
            return path
        return f"{path} {status.st_size} {status.st_mtime_ns}"


def _list_by_stem(folder: str) -> dict[str, str]:
    """Return the first file of each name without its extension."""
    try:
        names = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return {}
    return {Path(name).stem: name for name in names}
