"""``zato-lite service``: the deployed services."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from zato_lite.cli.complete import service_names
from zato_lite.cli.render import Column, Result
from zato_lite.cli.verb import Session, verb

_SERVICES = (
    Column("name"),
    Column("active", "is_active"),
    Column("calls", "usage"),
    Column("errors"),
    Column("p50", "p50_ms", "ms"),
    Column("p95", "p95_ms", "ms"),
    Column("in flight", is_wide=True),
    Column("last error", is_wide=True),
    Column("source", is_wide=True),
)


@click.group()
def service() -> None:
    """List and show services."""


@verb(service, "list", examples=("service list", "service list --all -o wide"))
@click.argument("words", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Built-in services, too.")
@click.option("--with-errors", is_flag=True, help="Services that have had errors.")
def list_services(
    session: Session, words: Sequence[str], *, everything: bool, with_errors: bool
) -> Result:
    """List the services whose names contain all WORDS."""
    found = session.call(
        "zato.service.get-list",
        query=" ".join(words),
        is_internal=None if everything else False,
        with_errors=with_errors,
    )
    return Result(found, _SERVICES)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a JSON Schema, or the one of its definitions to which it refers."""
    if reference := schema.get("$ref"):
        found: Mapping[str, Any] = schema.get("$defs", {}).get(reference.rpartition("/")[2], {})
        return found
    return schema


def _fields(kind: str) -> Column:
    """Return the column that lists the fields of a service's input or output."""

    def words(row: Any) -> list[str]:
        schema = resolved(row[f"{kind}_schema"])
        required = schema.get("required", ())
        return [name if name in required else f"[{name}]" for name in schema.get("properties", {})]

    return Column(kind, words)


@verb(service, examples=("service show hello.hello", "service show hello.hello -o yaml"))
@click.argument("name", shell_complete=service_names)
def show(session: Session, name: str) -> Result:
    """Show a service; with -o yaml its schemas, jobs and latest errors, too."""
    found = session.call("zato.service.get-by-name", name=name)
    columns = [each._replace(is_wide=False) for each in _SERVICES]
    jobs = Column("jobs", lambda row: [each["name"] for each in row["jobs"]])
    more = (Column("description"), _fields("input"), _fields("output"), jobs)
    return Result(found, [*columns, *more])
