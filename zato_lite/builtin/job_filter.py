"""Input of services that select jobs as a list shows them."""

from typing import Annotated

from msgspec import Meta

from zato_lite.builtin.input import Input, Moment, Name
from zato_lite.store.job_filter import JobFilter, State


class JobFilterInput(Input):
    """Jobs: ``query`` has words of their names; ``*`` in ``service_name`` is any text."""

    query: Annotated[str, Meta(max_length=1_000)] = ""
    service_name: Name | None = None
    state: State | None = None
    tag: Annotated[str, Meta(max_length=50)] = ""
    next_before: Moment | None = None

    @property
    def filter(self) -> JobFilter:
        """The filter that the fields make."""
        return JobFilter(
            self.query, self.service_name or "", self.state, self.tag, self.next_before
        )
