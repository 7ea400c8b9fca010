"""Settings and output options as JSON, from which a batch knows whether they have changed."""

import json
from functools import lru_cache
from typing import Any

from noisegate_cli.api.result_data import MUTE_TEXT, encode_settings_values
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.parsing import AUTO
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.json_values import to_json_value

MAX_SETTING_CHARS = 1000
"""Maximum length of a setting as JSON. A longer one, such as a noise profile, is only compared, and
its digest is stored instead."""


@lru_cache(maxsize=64)
def encode_settings(
    settings: GateSettings,
    options: OutputOptions,
    tracks: str | None = None,
    key: str | None = None,
) -> str:
    """Return settings and output options as JSON; equal settings give equal text.

    `tracks` and `key` are fingerprints of the other tracks of the session and of the recording that
    opens the gate, if there are any.
    """
    others = {} if tracks is None else {"against": tracks}
    others |= {} if key is None else {"key": key}
    return json.dumps([_to_json_dict(settings) | others, _to_json_dict(options)])


@lru_cache(maxsize=64)
def decode_settings(settings_json: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and output options as dicts, which are cached and must not be modified."""
    settings, options = json.loads(settings_json)
    return settings, options


@lru_cache(maxsize=64)
def add_default_settings(settings_json: str) -> str:
    """Return encoded settings with defaults for those that an older version did not have."""
    defaults = decode_settings(encode_settings(GateSettings(), OutputOptions()))
    values = json.loads(settings_json)
    settings, options = (
        default | (value or {}) for default, value in zip(defaults, values, strict=True)
    )
    return json.dumps([_restore_mute(settings), options])


def _restore_mute(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with "mute" where version 0.1 stored null for an infinite value.

    With an automatic threshold null may also have been the default, so it stays.
    """
    if settings["reduction_db"] is None:
        settings |= {"reduction_db": MUTE_TEXT}
    is_range_given = settings["threshold"] != AUTO and settings["target_floor_db"] is None
    if settings["range_db"] is None and is_range_given:
        settings |= {"range_db": MUTE_TEXT}
    return settings


def _to_json_dict(value: GateSettings | OutputOptions) -> dict[str, Any]:
    return {
        name: setting
        if len(text := json.dumps(setting)) <= MAX_SETTING_CHARS
        else digest_text(text)
        for name, setting in _encode_values(value).items()
    }


def digest_text(text: str) -> str:
    """Return a digest of a text, which may contain undecodable bytes of a path."""
    from hashlib import blake2b

    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _encode_values(value: GateSettings | OutputOptions) -> dict[str, Any]:
    if isinstance(value, GateSettings):
        return encode_settings_values(value)
    return dict(to_json_value(value))
