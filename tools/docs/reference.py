"""The reference, generated from the code: services, settings, errors, metrics, command line."""

import asyncio
import base64
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, get_type_hints

import click
import msgspec
import orjson
from prometheus_client.parser import text_string_to_metric_families

from zato_lite import errors
from zato_lite.cli.main import cli as command
from zato_lite.config import Settings
from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.testing.app import sandbox

GENERATED = "This page is generated from the code.\n"


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page."""
    document, metrics = asyncio.run(_asked())
    yield "services.md", "\n".join(_services(document))
    yield "metrics.md", "\n".join(_metrics(metrics))
    yield "settings.md", "\n".join(_settings())
    yield "errors.md", "\n".join(_errors())
    yield "command-line.md", "\n".join(_commands())


async def _asked() -> tuple[dict[str, Any], str]:
    """Return the OpenAPI document and the metrics of a server with the built-in services."""
    secret = "documentation"  # noqa: S105 - of a store in memory
    given = b"Basic " + base64.b64encode(f"admin.invoke:{secret}".encode())

    async with (
        sandbox() as it,
        open_edge(it.app, {"ZATO_LITE_ADMIN_PASSWORD": secret}) as edge,
    ):
        answers = []
        for path in ("/zato/api/invoke/demo.ping", "/openapi.json", "/metrics"):
            head = {b"host": b"localhost", b"authorization": given}
            answers.append(await edge(Request("GET", path, b"", head, b"", "::1", path)))
        return orjson.loads(answers[1].body), answers[2].body.decode()


def _services(document: dict[str, Any]) -> Iterator[str]:
    yield f"# Built-in services\n\n{GENERATED}"
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in sorted(document["paths"].items()):
        operation = next(iter(methods.values()))
        name = path.rpartition("/")[2]
        if not path.startswith("/zato/api/invoke/") or name.startswith("pub."):
            continue
        yield f"## {name}\n"
        yield f"{_plain(operation.get('description') or operation.get('summary', ''))}\n"
        content = operation.get("requestBody", {}).get("content", {})
        yield from _fields("Input", _schema(content), schemas)
        answer = operation.get("responses", {}).get("200", {}).get("content", {})
        yield from _fields("Answer", _schema(answer), schemas)


def _schema(content: dict[str, Any]) -> dict[str, Any]:
    return content.get("application/json", {}).get("schema", {})


def _fields(title: str, schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    kind = ""
    if schema.get("type") == "array":
        kind, schema = ": a list of objects", schema.get("items", {})
    schema = _resolved(schema, schemas)
    properties = schema.get("properties")
    if not properties:
        return
    yield f"**{title}**{kind}\n"
    required = set(schema.get("required", ()) if title == "Input" else ())
    rows = [
        (name, _type(field, schemas), _meaning(field, is_required=name in required))
        for name, field in properties.items()
    ]
    has_words = any(words for _, _, words in rows)
    yield (
        "| field | type | meaning |\n|---|---|---|" if has_words else "| field | type |\n|---|---|"
    )
    for name, shown, words in rows:
        yield f"| `{name}` | {shown} |" + (f" {words} |" if has_words else "")
    yield ""


def _meaning(field: dict[str, Any], *, is_required: bool) -> str:
    words = _plain(field.get("description", ""))
    default = field.get("default")
    if is_required:
        words = f"required. {words}"
    elif default is not None and default not in ("", [], {}):
        words = f"default: `{default}`. {words}"
    return _cell(words)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _type(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "$ref" in field:
        named = _resolved(field, schemas)
        return _type(named, schemas) if "properties" not in named else "object"
    if "enum" in field:
        return _cell(", ".join(f"`{value}`" for value in field["enum"]))
    if "anyOf" in field:
        kinds = dict.fromkeys(_type(each, schemas) for each in field["anyOf"])
        return " or ".join(kinds)
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field.get('items', {}), schemas)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _metrics(text: str) -> Iterator[str]:
    yield f"# Metrics\n\n{GENERATED}"
    yield "`GET /metrics` answers in Prometheus's text format; see [HTTP](../http.md#metrics).\n"
    yield "| name | kind | meaning |\n|---|---|---|"
    for family in sorted(text_string_to_metric_families(text), key=lambda each: each.name):
        suffix = "_total" if family.type == "counter" else ""
        yield f"| `{family.name}{suffix}` | {family.type} | {_cell(family.documentation)} |"


def _settings() -> Iterator[str]:
    yield f"# Settings\n\n{GENERATED}"
    yield (
        "They are in `config/zato-lite.toml`. A variable of the environment overrides each: "
        "`ZATO_LITE_SERVER__PORT=8000` is `port` in `[server]`.\n"
    )
    for section, cls in get_type_hints(Settings).items():
        if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
            yield from _section(f"[{section}]", cls)


def _section(title: str, cls: type[msgspec.Struct]) -> Iterator[str]:
    words, meanings = _attributes(cls)
    yield f"## {title}\n\n{words}\n\n| key | default | meaning |\n|---|---|---|"
    for field in msgspec.structs.fields(cls):
        default = f"`{_toml(field.default)}`" if field.default is not msgspec.NODEFAULT else ""
        meaning = _cell(meanings.get(field.name, ""))
        yield f"| `{field.encode_name}` | {_cell(default)} | {meaning} |"
    yield ""


def _toml(value: Any) -> str:
    return orjson.dumps(value).decode().replace(",", ", ")


def _attributes(cls: type) -> tuple[str, dict[str, str]]:
    """Return the text of a class's docstring, and its meanings of attributes."""
    text, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(rest.strip("\n"))):
        names, _, meaning = entry.partition(":")
        for name in names.split(","):
            meanings[name.strip()] = _plain(" ".join(meaning.split()))
    return _plain(text.strip()), meanings


def _errors() -> Iterator[str]:
    yield f"# Errors\n\n{GENERATED}"
    yield "`from zato_lite.errors import NotFoundError`; see [errors](../errors.md).\n"
    yield "| error | status | meaning |\n|---|---|---|"
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.ZatoLiteError):
            words = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
            yield f"| `{name}` | {cls.status} | {_cell(_plain(words))} |"


def _commands() -> Iterator[str]:
    yield f"# Command line\n\n{GENERATED}"
    yield from _command(command, click.Context(command, info_name="zato-lite"), 2)


def _command(each: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 4)} {context.command_path}\n"
    yield f"```text\n{each.get_help(context)}\n```\n"
    if isinstance(each, click.Group):
        for name in each.list_commands(context):
            if (found := each.get_command(context, name)) and not found.hidden:
                yield from _command(found, click.Context(found, context, name), level + 1)


def _plain(text: str) -> str:
    """Return a docstring as Markdown: one backtick for code."""
    return text.replace("``", "`").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
