"""``zato-lite invoke``: a service by its name, with an input from fields, a file or stdin."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from zato_lite.cli.client import decoded, readable
from zato_lite.cli.complete import service_names
from zato_lite.cli.plan import read
from zato_lite.cli.render import Result
from zato_lite.cli.services import resolved
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError

_IN_PROCESS_LIST = (
    "a password among the arguments is in the list of processes; use --password-file,"
    " ZATO_LITE_ADMIN_PASSWORD or the prompt"
)
_CONVERTED = ("integer", "number", "boolean", "array", "object", "null")
"""Types of fields that are sent as JSON, not as text."""


@verb(
    None,
    "invoke",
    examples=(
        "invoke hello.hello name=Ann",
        'invoke crm.order id=7 \'lines:=[{"sku": "a"}]\'',
        "invoke crm.order @order.json",
        "invoke crm.order -",
    ),
)
@click.argument("service", shell_complete=service_names)
@click.argument("payload", nargs=-1)
@click.option("--password", hidden=True)
def invoke(
    session: Session, service: str, payload: Sequence[str], password: str | None
) -> Result | None:
    """Invoke a service of a running server.

    PAYLOAD is JSON, fields as KEY=VALUE, @FILE, or - for standard input. A value is converted to
    the type that the service declares for its field; KEY:=VALUE is JSON in any case. All users of
    this machine can see the arguments of a command: send secrets by standard input or a file.
    """
    if password is not None:
        raise BadInputError(f"--password: {_IN_PROCESS_LIST}")
    text = _text_of(session, service, payload)
    answer = session.client.invoke(service, text)
    if session.form is None:
        click.echo(readable(answer) if sys.stdout.isatty() else answer)
        return None
    return Result(decoded(answer))


def _text_of(session: Session, service: str, payload: Sequence[str]) -> str:
    """Return the JSON that is to be sent."""
    only = payload[0].lstrip() if len(payload) == 1 else "KEY=VALUE"
    if only == "-":
        return read("-")
    if only.startswith("@"):
        return read(only[1:])
    if not payload or only[:1] in {"{", "[", '"'} or _is_json(only):
        return "".join(payload)
    pairs = [each.partition("=") for each in payload]
    if wrong := [key for key, sign, _ in pairs if not sign or not key]:
        raise BadInputError(f"{wrong[0]!r} is not KEY=VALUE; or give JSON, @FILE or - alone")
    kinds = _kinds(session, service) if any(not key.endswith(":") for key, _, _ in pairs) else {}
    return json.dumps({key.removesuffix(":"): _value(key, text, kinds) for key, _, text in pairs})


def _is_json(text: str) -> bool:
    with suppress(ValueError):
        json.loads(text)
        return True
    return False


def _kinds(session: Session, service: str) -> Mapping[str, Any]:
    """Return the JSON Schemas of a service's fields; none if they are not declared."""
    found = session.call("zato.service.get-by-name", name=service)["input_schema"]
    kinds: Mapping[str, Any] = resolved(found).get("properties", {})
    return kinds


def _value(key: str, text: str, kinds: Mapping[str, Any]) -> Any:
    """Return a value of the type that a field declares; a text if none is declared."""
    is_json = key.endswith(":")
    schema = kinds.get(key, {})
    allowed = {schema.get("type"), *(arm.get("type") for arm in schema.get("anyOf", ()))}
    if not is_json and not (allowed & {*_CONVERTED}):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if is_json:
            raise BadInputError(f"{key}={text}: the value is not JSON: {error}") from error
        return text
