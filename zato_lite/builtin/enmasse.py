"""Sets of definitions in the format of Zato's enmasse: parsing, comparison and export."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from zato_lite.builtin.definition import fields, inherit, read
from zato_lite.builtin.input import shown
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import Instant, Job

_MIN_SIZE_LIMIT = 1_000_000
_MAX_GROWTH = 10
_MAX_NESTING = 100
_MAX_MERGED_MAPPINGS = 10
_MAX_MERGED_KEYS = 100_000
_MERGE = "tag:yaml.org,2002:merge"
_PAUSE = ("is_active", "pause_note", "pause_until")
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")


class Update(NamedTuple):
    """A job that would change, with the old and the new value of each changed field."""

    before: Job
    after: Job
    changes: Mapping[str, tuple[Any, Any]]


class Difference(NamedTuple):
    """Effect of applying a set of definitions; jobs that the set does not name stay."""

    creates: tuple[Job, ...]
    updates: tuple[Update, ...]
    unchanged: tuple[str, ...]


def parse(document: str, environ: Mapping[str, str] = os.environ) -> list[dict[str, Any]]:
    """Return the definitions of an enmasse document (YAML or JSON): the list under ``scheduler``.

    ``${NAME}`` and ``$NAME`` in values are taken from the environment, ``$$`` is a dollar sign;
    a list in ``extra`` is joined with line ends.

    Raises:
        BadInputError: the document is not valid, or a variable is not set.
    """
    try:
        content = yaml.load(document, _Loader)  # noqa: S506 - a SafeLoader
        size = _size(content, {})
    except RecursionError:
        raise BadInputError("not valid YAML: nested too deeply") from None
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadInputError(f"not valid YAML: {error}") from error
    except AttributeError as error:  # PyYAML's, for a tag that does not fit
        raise BadInputError("not valid YAML: a value does not match its tag") from error
    if size > _MIN_SIZE_LIMIT + _MAX_GROWTH * len(document):
        raise BadInputError("YAML aliases expand to far more than the document's size")
    if not isinstance(content, Mapping):
        raise BadInputError("an object with a list `scheduler` is expected")
    found = content.get("scheduler") or []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise BadInputError("`scheduler` must be a list of definitions")
    errors: list[FieldError] = []
    definitions = []
    for place, each in enumerate(found):
        definition = {}
        for field, value in each.items():
            where = f"scheduler[{place}].{field}"
            definition[str(field)] = _expanded(_joined(field, value), where, environ, errors)
        definitions.append(definition)
    if errors:
        raise BadInputError.of(errors)
    return definitions


def difference(
    existing: Mapping[str, Job], definitions: Sequence[Mapping[str, Any]], now: Instant
) -> Difference:
    """Return the effect of applying the definitions to the existing jobs.

    A definition is complete: a field that it leaves out has its default, except for
    ``start_date``, which stays so that the grid does not move, and ``is_active``, so that a
    pause outlasts the next start.

    Raises:
        BadInputError: lists the mistakes of every definition, and names that are used twice.
    """
    creates, updates, unchanged = [], [], []
    errors: list[FieldError] = []
    seen: set[str] = set()
    for place, definition in enumerate(definitions):
        label = str(definition.get("name") or place)
        before = existing.get(str(definition.get("name", "")).strip())
        try:
            after = read(_kept(before, definition), now)
        except BadInputError as error:
            errors += (
                (each._replace(message=f"{label}: {each.message}") for each in error.errors)
                if error.errors
                else (FieldError(label, None, f"{label}: {error}"),)
            )
            continue
        if after.name in seen:
            errors.append(FieldError("name", after.name, f"{label}: defined twice"))
        seen.add(after.name)
        if before is None:
            creates.append(after)
            continue
        after = inherit(before, after)
        if changes := _changes(before, after):
            updates.append(Update(before, after, changes))
        else:
            unchanged.append(after.name)
    if errors:
        raise BadInputError.of(errors)
    return Difference(tuple(creates), tuple(updates), tuple(unchanged))


def document(jobs: Iterable[Job]) -> str:
    """Return the jobs as an enmasse document, by name, that applies without a change."""
    definitions = [
        {
            field: value.replace("$", "$$") if isinstance(value, str) else value
            for field, value in fields(job).items()
        }
        for job in sorted(jobs, key=lambda job: job.name)
    ]
    return yaml.safe_dump(
        {"scheduler": definitions}, sort_keys=False, allow_unicode=True, width=10_000
    )


def _kept(before: Job | None, definition: Mapping[str, Any]) -> dict[str, Any]:
    if before is None:
        return dict(definition)
    existing = fields(before, aware=True)
    held = ("start_date", "is_active") if before.is_active else ("start_date", *_PAUSE)
    kept = {field: existing[field] for field in held if field in existing}
    return kept | {field: value for field, value in definition.items() if value is not None}


def _changes(before: Job, after: Job) -> dict[str, tuple[Any, Any]]:
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


def _expanded(value: Any, place: str, environ: Mapping[str, str], errors: list[FieldError]) -> Any:
    if not isinstance(value, str) or "$" not in value:
        return value

    def expand(match: re.Match[str]) -> str:
        variable = match[1] or match[2]
        if variable not in environ:
            message = f"{place}: {shown(value)} uses variable {variable}, which is not set"
            errors.append(FieldError(place, value, message))
        return environ.get(variable, "")

    return "$".join(_REFERENCE.sub(expand, part) for part in value.split("$$"))


def _size(value: Any, known: dict[int, int]) -> int:
    """Return the number of values and letters; those of an alias count each time."""
    if isinstance(value, str | bytes):
        return len(value) + 1
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("an integer does not fit in 64 bits")
    if not isinstance(value, dict | list | tuple):
        return 1
    size = known.get(id(value))
    if size is None:
        parts = value.values() if isinstance(value, dict) else value
        size = known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return size


class _Loader(yaml.SafeLoader):
    """YAML loader without dates (a start date stays text), with limited nesting and merges."""

    merged = 0

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 - its name
        if self.flow_level >= _MAX_NESTING:
            raise yaml.YAMLError("nested too deeply")
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column: int) -> bool:
        if len(self.indents) >= _MAX_NESTING:
            raise yaml.YAMLError("nested too deeply")
        return super().add_indent(column)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        before = len(node.value)
        for key, value in node.value:
            is_many = isinstance(value, yaml.SequenceNode) and key.tag == _MERGE
            if is_many and len(value.value) > _MAX_MERGED_MAPPINGS:
                raise yaml.YAMLError(
                    f"more than {_MAX_MERGED_MAPPINGS} mappings are merged together"
                )
        super().flatten_mapping(node)
        self.merged += max(0, len(node.value) - before)
        if self.merged > _MAX_MERGED_KEYS:
            raise yaml.YAMLError(f"more than {_MAX_MERGED_KEYS} keys are merged")


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
