"""Colors of the help."""


def use_legible_colors() -> None:
    """Replace the yellow and the faint words of Typer's help: a light background hides them."""
    from typer import rich_utils

    rich_utils.STYLE_TYPES = "magenta"
    rich_utils.STYLE_USAGE = "bold"
    rich_utils.STYLE_HELPTEXT = ""
    rich_utils.STYLE_OPTION_DEFAULT = ""
