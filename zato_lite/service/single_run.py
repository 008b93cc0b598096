"""Single run: the definition of a service's run without a job, from a program's arguments.

Every node decodes what is stored of open runs, so nothing is stored that none can decode.
"""

import math
from contextlib import suppress
from typing import Any

from zato_lite.errors import BadInputError
from zato_lite.service.naming import name_of
from zato_lite.service.payload import embed, plain
from zato_lite.timetable.job import Job, OneTime
from zato_lite.wire import encode

MAX_RETRIES, MAX_BACKOFF = 1_000, 100
YEAR_S = 366 * 86_400
MAX_DELAY_S = 100 * YEAR_S


def target_of(service: Any, field: str = "service") -> str:
    """Return the name of a service that is given by its name or its class.

    Raises:
        BadInputError: it is neither, or empty.
    """
    name: Any = ""
    with suppress(TypeError):
        name = name_of(service)
    if not (isinstance(name, str) and name):
        allowed = "use the name of a service or its class"
        raise BadInputError(f"{field}: {service!r} is not valid; {allowed}")
    return name


def number_of(field: str, value: Any, least: float, most: float) -> float:
    """Return a number.

    Raises:
        BadInputError: it is not a number between these limits.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        raise BadInputError(
            f"{field}: {value!r} is not valid; use a number from {least} to {most}"
        )
    return float(value)


def define(
    name: str,
    service: str,
    payload: Any,
    start: int,
    *,
    principal: str,
    retries: int = 0,
    retry_delay: float = 1,
    retry_backoff: float = 2,
    timeout: float | None = None,
    callback: str | None = None,
) -> Job:
    """Return the definition of a run.

    Raises:
        BadInputError: names the argument that is not valid.
    """
    if number_of("retries", retries, 0, MAX_RETRIES) != int(retries):
        raise BadInputError(f"retries: {retries!r} is not valid; use a whole number")
    if timeout is not None:
        timeout = number_of("timeout", timeout, 0.001, YEAR_S)
    return Job(
        name=name,
        service=service,
        trigger=OneTime(start=start),
        extra=None if payload is None else _encoded(payload),
        max_retries=int(retries),
        retry_delay_ms=int(number_of("retry_delay", retry_delay, 0, YEAR_S) * 1000),
        retry_backoff=number_of("retry_backoff", retry_backoff, 1, MAX_BACKOFF),
        max_execution_time_ms=None if timeout is None else int(timeout * 1000),
        on_success_service=callback,
        on_error_service=callback,
        principal=principal,
    )


def _encoded(payload: Any) -> str:
    try:
        return encode(embed(payload), plain).decode()
    except TypeError as error:
        raise BadInputError(f"payload: it cannot be written as JSON: {error}") from error
