"""Entries of another scheduler's file, and the parts of definitions that several formats share."""

from typing import Any, NamedTuple

from zato_lite.errors import BadInputError
from zato_lite.wire import decode, encode

_MAX_NAME_LENGTH = 200


class Options(NamedTuple):
    """Facts that a file leaves out.

    Attributes:
        service: the service that each entry runs; for crontab and Quartz.
        timezone: the time zone of the schedules; None means UTC. For Celery and Quartz.
        with_user: a user's name stands before the command, as in /etc/crontab.
    """

    service: str = ""
    timezone: str | None = None
    with_user: bool = False


class Entry(NamedTuple):
    """An entry of the file as the fields of a job; None if no job can do the same.

    Attributes:
        place: the line's number or the entry's name.
        fields: the input of ``zato.scheduler.job.create``.
        differences: sentences about what will differ here, or the reason for missing fields.
    """

    place: str
    fields: dict[str, Any] | None
    differences: tuple[str, ...] = ()


def decode_document(document: str) -> Any:
    """Return the values of a JSON document.

    Raises:
        BadInputError: the document is not JSON, or is nested too deeply for a response.
    """
    decoded = decode(document)
    try:
        encode([[[[[[[[decoded]]]]]]]])  # the depth of a response with it inside
    except TypeError as error:
        raise BadInputError("the document is nested too deeply") from error
    return decoded


def cron_fields(expression: str) -> dict[str, Any]:
    """Return the fields of a cron job's trigger."""
    return {"job_type": "cron_style", "cron_definition": expression}


def zone_fields(timezone: str | None) -> dict[str, str]:
    """Return the field of a time zone, if there is one."""
    return {} if timezone is None else {"timezone": timezone}


def extra_fields(entry: Any) -> dict[str, Any]:
    """Return the job's extra data for an entry with ``args`` and ``kwargs``."""
    extra = {key: entry[key] for key in ("args", "kwargs") if entry.get(key)}
    return {"extra": extra} if extra else {}


def name_of(text: str) -> str:
    """Return a job's name, cut to its maximum length."""
    return text[:_MAX_NAME_LENGTH]
