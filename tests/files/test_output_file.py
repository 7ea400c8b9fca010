"""A file that cannot be written to its end is reported, whatever the encoder makes of the error."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, gate_file
from noisegate_cli.files.formats import WRITABLE_EXTENSIONS
from noisegate_cli.files.output_file import OutputFile

AT_003 = GateSettings(threshold=0.03)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Return a recording with tags and a cover, so that each format has all its parts."""
    from mutagen.flac import FLAC, Picture

    path = tmp_path_factory.mktemp("tagged") / "in.flac"
    y = np.random.default_rng(0).normal(0, 0.1, 30001)
    sf.write(path, y, 48000)
    file = FLAC(path)
    file["title"] = "A title"
    picture = Picture()
    picture.data, picture.mime, picture.type = bytes(range(256)) * 20, "image/png", 3
    file.add_picture(picture)
    file.save()
    return path


@contextmanager
def limited_file_size(octets: int) -> Iterator[None]:
    """Let the system refuse to write beyond a file size, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("extension", WRITABLE_EXTENSIONS)
def test_a_disk_that_is_full_before_the_end_leaves_no_output(tmp_path, tagged, extension, capfd):
    out = tmp_path / f"out{extension}"
    gate_file(tagged, out, AT_003)
    size = out.stat().st_size
    out.unlink()
    for missing in (1, 300, 3000, 5500, size // 2, size - 20):
        with (
            limited_file_size(size - missing),
            pytest.raises(OutputError, match=r"cannot be written: File too large"),
        ):
            gate_file(tagged, out, AT_003)
        assert list(tmp_path.iterdir()) == [], missing
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_the_first_error_is_kept_until_the_file_is_closed(tmp_path):
    file = OutputFile(tmp_path / "new")
    file._file.close()
    file._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    assert file.write(b"abc") == 3
    assert file.write(b"def") == 3
    assert (file.seek(1), file.tell()) == (0, 0)
    with pytest.raises(OSError, match="No space left"):
        file.check()
    with pytest.raises(OSError, match="No space left"):
        file.close()
    assert file.closed


def test_an_abandoned_file_ignores_what_an_encoder_still_writes(tmp_path):
    path = tmp_path / "out"
    file = OutputFile(path)
    file.write(b"abc")
    file.discard()
    file.write(b"def")
    with pytest.raises(OSError, match="cancel"):
        file.close()
    assert path.read_bytes() == b"abc"
