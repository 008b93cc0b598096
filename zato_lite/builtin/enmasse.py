"""Sets of definitions in the format of Zato's enmasse: parsing, comparison and export."""

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.builtin.definition import fields, inherit, read
from zato_lite.builtin.documents import Document, Item, read_document, write_document
from zato_lite.builtin.input import MAX_ERRORS, parse_name, shown
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import Instant, Job

_PAUSE = ("is_active", "pause_note", "pause_until")
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*)|\{\})|Zato_Enmasse_Env\.([A-Za-z_]\w*)")
_ZATO_REFERENCE = re.compile(r"Zato_Enmasse_Env(?=\.[A-Za-z_])")
JOBS = "scheduler"
"""Section of the jobs in an enmasse document."""

OWN_SECTIONS = ("channel_rest", "email_smtp", "outgoing_rest", "security", "sql")
"""Sections that are applied from the server's own file."""

OTHER_SECTIONS = frozenset(
    """
    amqp_channel amqp_outgoing as2 as4 aws azure cache channel_amqp channel_as2 channel_file
    channel_ibm_mq channel_kafka channel_mllp channel_openapi channel_plain_http channel_rest
    channel_soap channel_web_socket channel_wsx cloud_aws_s3 confluence def_sec definition_amqp
    definition_cassandra elastic_search email_imap email_smtp file_transfer ftp google_drive
    graphql groups gsuite hl7 http_soap ibm_mq include jira jms kafka keyvalue ldap llm mcp
    microsoft_365 mllp mongodb objects odoo outconn_plain_http outconn_soap outgoing_amqp
    outgoing_ftp outgoing_graphql outgoing_ibm_mq outgoing_kafka outgoing_mllp outgoing_odata
    outgoing_plain_http outgoing_rest outgoing_sftp outgoing_soap outgoing_sql outgoing_wsx pubsub
    pubsub_endpoint pubsub_permission pubsub_subscription pubsub_topic query_cassandra rbac_role
    role_permission salesforce sap search_es search_solr security security_groups sftp slack
    solr sql sql_pool swift twilio vault_connection web_socket wsx zato_generic_connection
    zato_outgoing zato_rbac zmq_channel zmq_outgoing
    """.split()  # noqa: SIM905 - a table of words
)
"""Sections of Zato's enmasse files that hold no jobs."""


class Definitions(NamedTuple):
    """The job definitions of a document.

    Attributes:
        items: the definitions in order, each with its place in the document.
        others: the other sections of the document, and the number of entries of each.
        mistakes: of definitions that are not among the items, and unknown sections.
        lines: the first line of each definition, with mistakes or without.
        sections: the entries of the sections that a server's own file may have.
    """

    items: Sequence[Item]
    others: Mapping[str, int]
    mistakes: Sequence[FieldError] = ()
    lines: Sequence[int] = ()
    sections: Mapping[str, Sequence[Item]] = {}


class Update(NamedTuple):
    """A job that would change, with the old and the new value of each changed field.

    Attributes:
        claim: the principal that the definition names; empty if it names none.
    """

    before: Job
    after: Job
    changes: Mapping[str, tuple[Any, Any]]
    claim: str = ""


class Difference(NamedTuple):
    """Effect of applying a set of definitions; jobs that the set does not name stay."""

    creates: tuple[Job, ...]
    updates: tuple[Update, ...]
    unchanged: tuple[str, ...]


class Set(NamedTuple):
    """The effect of applying definitions, and the mistakes of those that cannot be applied.

    Attributes:
        items: the right definitions, by the name of their job.
    """

    found: Difference
    mistakes: Sequence[FieldError]
    items: Mapping[str, Item]


def parse(document: str, environ: Mapping[str, str] | None = os.environ) -> list[dict[str, Any]]:
    """Return the definitions of an enmasse document: those of ``definitions_of``."""
    return [item.value for item in definitions_of(document, environ).items]


def definitions_of(document: str, environ: Mapping[str, str] | None) -> Definitions:
    """Return the definitions of an enmasse document (YAML or JSON): the list ``scheduler``.

    ``${NAME}``, ``$NAME`` and ``Zato_Enmasse_Env.NAME`` in values are taken from the environment,
    ``$$`` is a dollar sign; a list in ``extra`` is joined with line ends.

    Args:
        document: the document.
        environ: the variables; None for a caller that may not read them.

    Raises:
        BadInputError: lists the mistakes with their lines: the document is not valid, a section
            is not known, or a variable is not set.
    """
    found = right_definitions_of(document, environ)
    if found.mistakes:
        raise BadInputError.of(found.mistakes[:MAX_ERRORS])
    return found


def right_definitions_of(document: str, environ: Mapping[str, str] | None) -> Definitions:
    """Return the definitions as ``definitions_of`` does, without those that have mistakes.

    Raises:
        BadInputError: the document is not valid.
    """
    read = read_document(document)
    mistakes = [*islice(_wrong_sections(read), MAX_ERRORS)]
    items = _items_of(read, JOBS, environ, mistakes)
    sections = (
        {}
        if environ is None
        else {section: _items_of(read, section, environ, mistakes) for section in OWN_SECTIONS}
    )
    others = {key: _count(read.values[key]) for key in _others(read)}
    lines = [item.line for item in read.items.get(JOBS, ())]
    return Definitions(items, others, mistakes, lines, sections)


def _items_of(
    read: Document, section: str, environ: Mapping[str, str] | None, mistakes: list[FieldError]
) -> list[Item]:
    """Return the entries of a section with their variables replaced, without the wrong ones."""
    items = []
    for place, item in enumerate(read.items.get(section, ())):
        where = f"{section}[{place}]"
        if not isinstance(item.value, Mapping):
            text = f"line {item.line}: an entry must be an object"
            mistakes.append(FieldError(where, None, text))
            continue
        errors: list[FieldError] = []
        definition = {}
        for field, value in item.value.items():
            label = f"{where}.{field}"
            expansion = _Expansion(label, item.lines.get(str(field), item.line), environ, errors)
            definition[str(field)] = _joined(field, expansion.expand(value))
        mistakes += errors
        if not errors:
            items.append(item._replace(value=definition))
    return items


def difference(
    existing: Mapping[str, Job],
    definitions: Sequence[Mapping[str, Any]],
    now: Instant,
    principal: str = "",
) -> Difference:
    """Return the effect of applying the definitions to the existing jobs.

    Raises:
        BadInputError: lists the mistakes of every definition, and names that are used twice.
    """
    items = [Item(definition, 0, {}) for definition in definitions]
    found = compare(existing, items, now, principal)
    if found.mistakes:
        raise BadInputError.of(found.mistakes)
    return found.found


def compare(
    existing: Mapping[str, Job],
    items: Iterable[Item],
    now: Instant,
    principal: str = "",
    max_mistakes: float = math.inf,
    *,
    more_mistakes: Callable[[Mapping[str, Any]], Iterable[FieldError]] = lambda _: (),
) -> Set:
    """Return the effect of applying definitions to the existing jobs, and their mistakes.

    A definition is complete: a field that it leaves out has its default, except for
    ``start_date``, which stays so that the grid does not move, and ``is_active``, so that a
    pause outlasts the next start. A definition without a principal has ``principal``, or if this
    is empty, that of the existing job. The mistakes include names that are used twice; after
    ``max_mistakes`` the rest is not looked at. ``more_mistakes`` returns those of the other fields
    of a wrong definition.
    """
    creates, updates, unchanged = [], [], []
    errors: list[FieldError] = []
    known: dict[str, Item] = {}
    for place, item in enumerate(items):
        if len(errors) >= max_mistakes:
            break
        definition = item.value
        nameless = "a job without a name" if item.line else f"jobs[{place}]"
        label = str(definition.get("name") or nameless)
        before = existing.get(name_of(definition))
        try:
            after = read(_kept(before, definition), now, principal)
        except BadInputError as error:
            wrong = error.errors or (FieldError(label, None, str(error)),)
            fields_ = {each.field for each in wrong}
            more = (each for each in more_mistakes(definition) if each.field not in fields_)
            errors += located((*wrong, *more), item, label)
            continue
        if after.name in known:
            line = known[after.name].line
            earlier = f", also in line {line}" if line else ""
            text = f"{label}: defined twice{earlier}"
            errors.append(_error("name", after.name, at_line(item, "name", text)))
            continue
        known[after.name] = item
        if before is None:
            creates.append(after)
            continue
        claim = after.principal
        after = inherit(before, replace(after, principal=claim or before.principal))
        if changes := changes_between(before, after):
            updates.append(Update(before, after, changes, claim))
        else:
            unchanged.append(after.name)
    return Set(Difference(tuple(creates), tuple(updates), tuple(unchanged)), errors, known)


def names_of(items: Iterable[Item]) -> set[str]:
    """Return the names of the jobs that the definitions name, without those that are not valid."""
    return {name for item in items if (name := name_of(item.value))}


def name_of(definition: Mapping[str, Any]) -> str:
    """Return the name of a definition's job; empty if it is missing or not valid."""
    try:
        return parse_name(definition.get("name"))
    except ValueError:
        return ""


def differences(others: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each section of a document that has no effect."""
    for section, count in others.items():
        where = ", only in the server's own file" if section in OWN_SECTIONS else ""
        yield f"section `{section}` has no effect here{where}: {count} entries left out"


def at_line(item: Item, field: str, text: str) -> str:
    """Prefix a text with the line of its field, if the item comes from a document."""
    return f"line {item.lines.get(field, item.line)}: {text}" if item.line else text


def document(jobs: Iterable[Job]) -> str:
    """Return the jobs as an enmasse document, by name, that applies without a change."""
    definitions = [fields(job) for job in sorted(jobs, key=lambda job: job.name)]
    return document_text([items_text(definitions)] if definitions else [])


def document_text(parts: Sequence[str]) -> str:
    """Return the document of which these are the parts, made by ``items_text``."""
    return "".join([f"{JOBS}:\n", *parts]) if parts else f"{JOBS}: []\n"


def items_text(definitions: Iterable[Mapping[str, Any]]) -> str:
    """Return the part of a document that holds these definitions, at least one."""
    return write_document(
        [
            {
                field: _escaped(value) if isinstance(value, str) else value
                for field, value in definition.items()
            }
            for definition in definitions
        ]
    )


def _escaped(value: str) -> str:
    """Return the text so that no part of it stands for a variable."""
    return _ZATO_REFERENCE.sub("Zato_Enmasse_Env${}", value.replace("$", "$$"))


def _wrong_sections(read: Document) -> Iterator[FieldError]:
    """Yield an error for each unknown section, and for a wrong list of jobs."""
    for key in read.values:
        if key == JOBS or key in OTHER_SECTIONS:
            continue
        nearest = difflib.get_close_matches(str(key), [JOBS, *OTHER_SECTIONS], 1, 0.8)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"jobs are listed under `{JOBS}`"
        text = f"line {read.lines.get(key, 1)}: {shown(str(key))} is not a known section; {hint}"
        yield _error(str(key), None, text)
    for section in (JOBS, *OWN_SECTIONS):
        found = read.values.get(section)
        if found is not None and not isinstance(found, list):
            text = f"line {read.lines[section]}: `{section}` must be a list of definitions"
            yield _error(section, None, text)


def _others(read: Document) -> list[str]:
    return [str(key) for key in read.values if key != JOBS and read.values[key]]


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 1


def located(errors: Iterable[FieldError], item: Item, label: str) -> Iterator[FieldError]:
    """Yield the wrong fields of a definition, each with its line and the name of the job."""
    for each in errors:
        text = at_line(item, each.field, f"{label}: {each.message}")
        yield each._replace(message=text)


def _error(field: str, value: Any, message: str) -> FieldError:
    return FieldError(field, value, message)


def _kept(before: Job | None, definition: Mapping[str, Any]) -> dict[str, Any]:
    if before is None:
        return dict(definition)
    existing = fields(before, aware=True)
    held = ("start_date", "is_active") if before.is_active else ("start_date", *_PAUSE)
    kept = {field: existing[field] for field in held if field in existing}
    return kept | {field: value for field, value in definition.items() if value is not None}


def changes_between(before: Job, after: Job) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each field in which the definitions differ."""
    old, new = fields(before), fields(after)
    return {
        field: (old.get(field), new.get(field))
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    }


def _joined(field: str, value: Any) -> Any:
    if field == "extra" and isinstance(value, list):
        return "\n".join(str(line) for line in value)
    return value


class _Expansion(NamedTuple):
    """Replaces the variables in a field's value, and in the values within it."""

    label: str
    line: int
    environ: Mapping[str, str] | None
    errors: list[FieldError]

    def expand(self, value: Any) -> Any:
        """Return the value with its variables replaced; add those that are not set."""
        if isinstance(value, dict):
            return {key: self.expand(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.expand(each) for each in value]
        if not isinstance(value, str) or ("$" not in value and "Zato_Enm" not in value):
            return value

        def variable(match: re.Match[str]) -> str:
            name = match[1] or match[2] or match[3]
            if name is None:
                return ""
            if self.environ is None or name not in self.environ:
                is_missing = "is not available here" if self.environ is None else "is not set"
                text = f"line {self.line}: {self.label}: variable {name} {is_missing}"
                self.errors.append(_error(self.label, None, text))
                return ""
            return self.environ[name]

        return "$".join(_REFERENCE.sub(variable, part) for part in value.split("$$"))
