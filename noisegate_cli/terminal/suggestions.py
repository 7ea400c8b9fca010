"""Messages for usage errors, with the option or command that was probably meant."""

import re
from pathlib import Path
from typing import Any

from noisegate_cli.terminal.commands import SEPARATE_UNIT, build_command
from noisegate_cli.text import normalize_number, quote_for_shell, suggest_nearest


def describe_usage_error(error: Exception, message: str) -> str:
    """Return the message for a Typer usage error, on one line.

    Parameters
    ----------
    error
        The error, with the context of the command that was called.
    message
        Its message. Typer's own suggestions in it, which are often wrong, are replaced.
    """
    context = getattr(error, "ctx", None)
    command = getattr(context, "command", None)
    suggestion = ""
    if wrong := getattr(error, "option_name", None) if hasattr(error, "possibilities") else None:
        message = f"no such option {wrong}"
        flags = {
            flag.lstrip("-"): flag
            for parameter in getattr(command, "params", ())
            for flag in (*parameter.opts, *parameter.secondary_opts)
            if flag.startswith("--")
        }
        suggestion = _find_other_command(context, wrong) or _suggest(wrong.lstrip("-"), flags)
    elif match := re.match(r"No such command '(.*?)'", message):
        message = f"no such command {match[1]!r}"
        suggestion = suggest_nearest(match[1], getattr(command, "commands", ()))
        if Path(match[1]).exists():
            run = "batch" if Path(match[1]).is_dir() else "gate"
            return f"{message}: did you mean `{quote_for_shell(['ngate', run, match[1]])}`?"
    elif match := re.match(r"Missing (?:argument|option) '(.*?)…?'", message):
        message = f"{match[1]} is missing"
    elif match := re.match(r"Option '(.*?)' requires an argument", message):
        message = f"{match[1]} needs a value"
    elif match := re.match(r"Got unexpected extra argument\S* \((.*)\)", message):
        message = f"unexpected argument {match[1]!r}"
    elif SEPARATE_UNIT in message:
        return message
    elif described := _describe_invalid_value(message):
        return described
    return message + (suggestion or f": see {getattr(context, 'command_path', 'ngate')} --help")


def _find_other_command(context: Any, flag: str) -> str:
    """Return a hint to another command that has an option of this name; empty if none has it."""
    group = getattr(getattr(context, "parent", None), "command", None)
    names = [
        name
        for name in getattr(group, "commands", ())
        if any(flag in parameter.opts for parameter in build_command(name).params)
    ]
    return f": it is an option of ngate {' and ngate '.join(names)}" if names else ""


def _describe_invalid_value(message: str) -> str:
    """Return the message for a value of the wrong type or out of its range; empty for others."""
    match = re.match(r"Invalid value for '(--[\w-]+|\w+)…?'.*?: (.*)", message)
    if match is None:
        return ""
    flag, detail = match.groups()
    if wrong := re.match(r"(?P<value>'.*') is not a valid (?P<kind>int|float)", detail):
        kind = "whole number" if wrong["kind"] == "int" else "number"
        meant = normalize_number(wrong["value"].strip("'"))
        pattern = r"-?\d+" if wrong["kind"] == "int" else r"-?\d+(\.\d+)?"
        hint = f": give {meant}" if re.fullmatch(pattern, meant) else ""
        return f"{flag} {wrong['value']} is not a {kind}{hint}"
    if wrong := re.match(r"(?P<value>\S+) is not in the range x>=(?P<least>\S+)", detail):
        return f"{flag} {wrong['value']} must be {wrong['least']} or more"
    if wrong := re.match(r"(?P<value>'.*') is not a valid boolean", detail):
        return f"{flag} {wrong['value']} must be 1 or 0"
    return f"{flag}: {detail}"


def _suggest(wrong: str, flags: dict[str, str]) -> str:
    """Return the suggestion of a flag; dashes do not count, or all flags would be similar."""
    return suggest_nearest(wrong, flags).replace("did you mean ", "did you mean --")
