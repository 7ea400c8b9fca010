"""Write a text file that appears complete or not at all."""

from pathlib import Path

from noisegate_cli.errors import OutputError
from noisegate_cli.files.partial_files import partial_path, rename_without_replacing
from noisegate_cli.files.unfinished import remove_when_left
from noisegate_cli.files.writer import check_overwrite, is_stream, unwritable_message
from noisegate_cli.text import quote_path


def write_text(path: Path, text: str, force: bool = False) -> None:
    """Write a text in UTF-8 to `path`; missing folders are created.

    Raises
    ------
    OutputError
        If `path` exists and `force` is false, or if it can't be written.
    """
    check_overwrite(path, force)
    try:
        if is_stream(path):
            path.write_text(text, encoding="utf-8")
            return
        new_folders = [folder for folder in path.parents if not folder.exists()]
        partial = partial_path(path)
        with remove_when_left(partial, new_folders):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("x", encoding="utf-8") as file:
                file.write(text)
            if force:
                partial.replace(path)
            else:
                rename_without_replacing(partial, path)
    except FileExistsError as error:
        raise OutputError(f"{quote_path(path)} exists already: force=True overwrites it") from error
    except OSError as error:
        raise OutputError(unwritable_message(path, error)) from error
