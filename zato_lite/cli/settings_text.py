"""The settings as comments of a file, made from the classes that read them."""

import inspect
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec

from zato_lite.config import Settings
from zato_lite.outgoing_config import Rest, Smtp, Sql

_HEAD = """\
# Settings of zato-lite. Each line shows a default; remove its # to change it.
# The environment overrides each key: ZATO_LITE_SERVER__PORT=8000.
# ${NAME} in a text stands for the value of a variable.
"""
_EXAMPLES: Mapping[str, str] = {
    "channels": '"GET /customers/{id}" = "crm.get-customer"',
    "mounts": '"/shop" = {app = "shop_web:app", role = "viewer"}',
    "folders": '"/site" = {folder = "static", role = "viewer"}',
    "user": "# Your own settings, which services read as self.config",
}
_REQUIRED = {
    "rest.crm": '"https://crm.example.com/api"',
    "sql.shop": '"postgresql://shop@db.example.com/shop"',
    "smtp.office": '"mail.example.com"',
}
_NAMED: Mapping[str, type[msgspec.Struct]] = {
    "rest.crm": Rest,
    "sql.shop": Sql,
    "smtp.office": Smtp,
}
_ENTRY = re.compile(r"^    (\w[\w, ]*?): (.*(?:\n {8}.*)*)", re.MULTILINE)
_WIDTH = 99


def settings_text() -> str:
    """Return a file of settings in which everything has its default."""
    parts = [_HEAD]
    for table in msgspec.structs.fields(Settings):
        if table.name == "outgoing":
            parts += [_table(f"outgoing.{name}", cls, "# ") for name, cls in _NAMED.items()]
        elif table.name == "user":
            parts.append(f"[user]\n{_EXAMPLES['user']}\n")
        else:
            parts.append(_table(table.name, table.type))
    return "\n".join(parts)


def _table(name: str, cls: type[msgspec.Struct], mark: str = "") -> str:
    described = descriptions(cls)
    lines, tables = [f"{mark}[{name}]"], []
    for field in msgspec.structs.fields(cls):
        words = described.get(field.name, "")
        if field.name in _EXAMPLES:
            tables += ["", f"[{name}.{field.name}]", *_comment(words)]
            tables.append(f"# {_EXAMPLES[field.name]}")
            continue
        lines += _comment(words)
        lines.append(f"# {field.name} = {_toml(field) or _REQUIRED[name.partition('.')[2]]}")
    return "\n".join([*lines, *tables, ""])


def descriptions(cls: type[msgspec.Struct]) -> dict[str, str]:
    """Return the description of each attribute, under the first name that it describes."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    return {
        names.partition(",")[0]: " ".join(words.split()).replace("``", "`")
        for names, words in _ENTRY.findall(text)
    }


def _comment(words: str) -> list[str]:
    sentence = words[:1].upper() + words[1:]
    return textwrap.wrap(sentence, _WIDTH, initial_indent="## ", subsequent_indent="## ")


def _toml(field: Any) -> str:
    """Return the default of a field; empty if it has none."""
    if field.default is not msgspec.NODEFAULT:
        return json.dumps(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return json.dumps(field.default_factory())  # {} in TOML, too
    return ""
