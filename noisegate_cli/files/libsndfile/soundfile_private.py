"""All uses of private parts of soundfile.

A version of soundfile may change these parts; the tests of this module check them.
"""

import soundfile as sf


def close_without_fsync(file: sf.SoundFile) -> None:
    """Close a file that is open for writing; do nothing if it is closed.

    `SoundFile.close` calls fsync, which takes as long as gating; cp and other audio tools do not
    wait for the disk either. The handle is removed before libsndfile frees the file, so that an
    interrupt that causes a second call cannot free it again.

    Raises
    ------
    soundfile.LibsndfileError
        If libsndfile cannot complete the file.
    """
    handle, file._file = file._file, None
    if handle is not None:
        sf._error_check(sf._snd.sf_close(handle))
