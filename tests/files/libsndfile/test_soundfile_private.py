import os

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli.files.libsndfile.soundfile_private import close_without_fsync

CHANGED = (
    f"soundfile {sf.__version__} has changed a part that is not public: "
    "adapt noisegate_cli/files/libsndfile/soundfile_private.py"
)


def test_the_private_parts_of_soundfile_are_as_expected(tmp_path):
    assert callable(getattr(sf, "_error_check", None)), CHANGED
    assert callable(getattr(getattr(sf, "_snd", None), "sf_close", None)), CHANGED
    with sf.SoundFile(tmp_path / "out.wav", "w", 8000, 1) as file:
        assert getattr(file, "_file", None) is not None, CHANGED
        assert file.closed is False, CHANGED
    assert file._file is None, CHANGED
    sf._error_check(0)
    with pytest.raises(sf.LibsndfileError):
        sf._error_check(1)


def test_a_file_is_complete_after_closing_and_can_be_closed_twice(tmp_path, monkeypatch):
    def refuse(_):
        raise AssertionError("the file is flushed to the disk")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(sf.SoundFile, "flush", refuse)
    file = sf.SoundFile(tmp_path / "out.flac", "w", 8000, 1)
    y = np.arange(100, dtype=np.int16)
    file.write(y)
    close_without_fsync(file)
    close_without_fsync(file)
    assert file.closed
    monkeypatch.undo()
    assert np.array_equal(sf.read(tmp_path / "out.flac", dtype="int16")[0], y)
