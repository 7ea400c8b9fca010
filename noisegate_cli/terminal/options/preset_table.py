"""The values of the presets, for the help and the manual."""

from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.options.gate_settings import GATE_OPTIONS


def build_preset_rows() -> list[list[str]]:
    """Return a header and a row for each option whose default depends on the preset."""
    rows = [["option", *PRESETS]]
    presets = [preset.resolved for preset in PRESETS.values()]
    for name, option in GATE_OPTIONS.items():
        values = [getattr(preset, name) for preset in presets]
        if len(set(values)) > 1:
            rows.append([option.flags[0], *(_format_value(name, value) for value in values)])
    return rows


def format_preset_table() -> str:
    """Return the rows as lines of text with aligned columns."""
    rows = build_preset_rows()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def _format_value(name: str, value: object) -> str:
    if value in (MUTE, -MUTE):
        return "mute"
    unit = {"_db": " dB", "_ms": " ms"}.get(name[-3:], "")
    return f"{value:g}{unit}" if isinstance(value, int | float) else str(value)
