"""Write a file other than a recording, such as a plot: completely or not at all."""

from pathlib import Path

from noisegate_cli.errors import OutputError
from noisegate_cli.files.outputs.atomic import (
    check_overwrite,
    is_stream,
    open_partial_files,
    wrap_write_errors,
)
from noisegate_cli.files.outputs.naming import check_extension
from noisegate_cli.files.outputs.partial_files import make_folders
from noisegate_cli.files.outputs.target import is_same_file
from noisegate_cli.text import quote_path


def check_document(
    path: Path, kind: str, extensions: tuple[str, ...], others: dict[str, Path], force: bool
) -> None:
    """Check that a document can be written to `path`, before the work that leads to it.

    Parameters
    ----------
    path
        Path of the document.
    kind
        What it is, for messages, such as "plot".
    extensions
        Extensions that it may have, without dots.
    others
        Other files of the same call, by their description: none may be overwritten.
    force
        Whether to overwrite an existing file.

    Raises
    ------
    OutputError
        If `path` has another extension, is one of the others, is a directory, or exists and
        `force` is false.
    """
    check_extension(path, kind, extensions)
    for description, other in others.items():
        if is_same_file(path, other):
            raise OutputError(f"{quote_path(path)} is {description}: give the {kind} another name")
    check_overwrite(path, force)


def write_document(path: Path, content: bytes, force: bool = False, fsync: bool = False) -> None:
    """Write a file that appears when it is complete.

    Raises
    ------
    OutputError
        If it exists and `force` is false, or cannot be written.
    """
    check_overwrite(path, force)
    with wrap_write_errors(path):
        if is_stream(path):
            path.write_bytes(content)
            return
    with open_partial_files(force, fsync) as files:
        partial = files.add(path)
        with wrap_write_errors(path):
            make_folders(path.parent)
            with partial.open("xb") as file:
                file.write(content)
