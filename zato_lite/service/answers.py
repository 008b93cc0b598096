"""Answers that a service declares: their statuses, types and headers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from zato_lite.errors import ConfigError

_STATUSES = range(200, 600)
_SUCCESSES = range(200, 400)


class Answer(msgspec.Struct, frozen=True):
    """An answer over HTTP as OpenAPI describes it.

    Attributes:
        description: when it is given, in a sentence.
        type: its type; the default is the declared output, or for an error an error's.
        headers: names of its headers with their descriptions.
        content_type: the default is that of the payload.
    """

    description: str = ""
    type: Any = None
    headers: Mapping[str, str] = {}
    content_type: str = ""


def answers_of(cls: type) -> dict[int, Answer]:
    """Return the answers that ``answers`` on a service's class declares.

    Raises:
        ConfigError: a status or its description is not valid.
    """
    declared = getattr(cls, "answers", {})
    if not isinstance(declared, Mapping):
        raise ConfigError(f"answers {declared!r} is not valid; use a dictionary by status")
    found: dict[int, Answer] = {}
    for status, answer in declared.items():
        if not isinstance(status, int) or status not in _STATUSES:
            raise ConfigError(f"answers: not a valid status: {status!r}; use 200 to 599")
        if not isinstance(answer, str | Answer):
            raise ConfigError(
                f"answers: {answer!r} of {status} is not valid; use a text or Answer"
            )
        found[status] = Answer(answer) if isinstance(answer, str) else answer
    return found


def default_of(cls: type) -> tuple[int | None, str | None]:
    """Return the status and the content type of the first success that the class declares.

    None stands for 200, and for the content type of the payload.
    """
    for status, answer in answers_of(cls).items():
        if status in _SUCCESSES:
            return None if status == _OK else status, answer.content_type or None
    return None, None


_OK = 200
