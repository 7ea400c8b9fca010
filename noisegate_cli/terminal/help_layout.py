"""Colors and width of the help."""

MIN_HELP_COLUMNS = 76
"""Width below which the help would cut words; a narrower terminal breaks its lines."""


def make_help_legible() -> None:
    """Make Typer's help legible on any background, and complete on a terminal of any width."""
    from shutil import get_terminal_size

    from typer import rich_utils

    # A light background hides yellow and faint words.
    rich_utils.STYLE_TYPES = "magenta"
    rich_utils.STYLE_USAGE = "bold"
    rich_utils.STYLE_HELPTEXT = ""
    rich_utils.STYLE_OPTION_DEFAULT = ""
    rich_utils.MAX_WIDTH = max(MIN_HELP_COLUMNS, get_terminal_size().columns)
