"""``zato-lite doctor``: what is wrong with a project and its server, and what to do."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from zato_lite import __version__
from zato_lite.cli.render import Column, Result
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import ZatoLiteError

_CLOCK_S = 5.0
_LATE_MS = 1_000
_SHOWN = 5


class Finding(NamedTuple):
    """A check: ``ok``, ``warning`` or ``error``, the reason, and the next step."""

    check: str
    result: str
    reason: str = ""
    next: str = ""


_COLUMNS = (
    Column("check"),
    Column("result", kind="state"),
    Column("reason", kind="lines"),
    Column("next", kind="lines"),
)


@verb(examples=("doctor", "doctor --json"))
def doctor(session: Session) -> Result:
    """Look for trouble, and say what to do.

    The status is 1 if something does not work.
    """
    found = [each._asdict() for each in findings(session)]
    has_error = any(each["result"] == "error" for each in found)
    return Result(found, _COLUMNS, status=int(has_error))


def findings(session: Session) -> Iterator[Finding]:
    """Yield the result of each check; without a server, those that need none."""
    yield from _tried("settings", lambda: _settings(session))
    reached = [*_tried("server", lambda: _server(session))]
    yield from reached
    if reached[0].result == "error":
        yield from _tried("store", lambda: _store_file(session))
        return
    allowed = [*_tried("credentials", lambda: _status(session))]
    yield from allowed
    if allowed[0].result == "error":
        return
    yield from _tried("files", lambda: _files(session))
    yield from _tried("store", lambda: _store(session))
    yield from _tried("jobs", lambda: _jobs(session))


def _tried(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; an error of it is one, too."""
    try:
        found = [*look()]
    except ZatoLiteError as error:
        words, _, step = str(error).partition("; ")
        yield Finding(check, "error", words, step)
        return
    yield from found or [Finding(check, "ok")]


def _settings(session: Session) -> Iterator[Finding]:
    from zato_lite.config import load_project  # noqa: PLC0415 - --help is quick

    load_project(session.project)
    yield from ()


def _server(session: Session) -> Iterator[Finding]:
    code, answer = session.get("/readyz")
    reasons = answer if isinstance(answer, dict) else {}
    if code >= 400:  # noqa: PLR2004
        yield Finding("server", "error", f"not ready: {answer}", "see the log of the server")
    for name, words in reasons.get("warnings", {}).items():
        yield Finding(name, "warning", words, "zato-lite check")


def _status(session: Session) -> Iterator[Finding]:
    import time  # noqa: PLC0415

    found = session.call("zato.scheduler.status")
    yield Finding("credentials", "ok")
    yield from of_status(found, session.now - time.time())  # noqa: TID251 - two clocks are compared


def of_status(found: Mapping[str, Any], off: float) -> Iterator[Finding]:
    """Yield what is wrong by the scheduler's status and the seconds by which its clock is off."""
    if abs(off) > _CLOCK_S:
        words = f"the server's differs from this machine's by {off:.0f} s"
        yield Finding("clock", "warning", words, "synchronise both, as with NTP")
    if found["clock_warning"]:
        yield Finding("clock", "error", found["clock_warning"], "see docs/scheduler.md")
    if found["is_paused"]:
        words = f"paused by {found['paused_by']}: {found['pause_note']}"
        yield Finding("scheduler", "warning", words, "zato-lite scheduler resume")
    if not found["nodes"]:
        yield Finding("nodes", "error", "no node runs jobs", "set [scheduler] enabled")
    if (found["lateness_p99_ms"] or 0) > _LATE_MS:
        words = f"1 % of the latest runs were more than {found['lateness_p99_ms']:.0f} ms late"
        yield Finding("lateness", "warning", words, "zato-lite node list -o wide")
    versions = {each["version"] for each in found["nodes"]} - {None, __version__}
    if versions:
        words = f"server {', '.join(versions)}, this command {__version__}"
        yield Finding("version", "warning", words, "use the same version")


def _files(session: Session) -> Iterator[Finding]:
    for each in session.call("zato.service.get-deployment-info-list"):
        if not each["is_ok"]:
            yield Finding(each["source"], "error", each["error"], "mend the file; zato-lite check")


def _store(session: Session) -> Iterator[Finding]:
    for problem in session.call("zato.store.check")["problems"]:
        yield Finding("store", "error", problem, "zato-lite db restore BACKUP")


def _store_file(session: Session) -> Iterator[Finding]:
    from zato_lite.config import load_project  # noqa: PLC0415
    from zato_lite.store.location import existing_path_of  # noqa: PLC0415
    from zato_lite.store.opening import check_store  # noqa: PLC0415

    store = load_project(session.project).store
    if store.url.startswith("sqlite") and existing_path_of(session.project, store.url) is None:
        yield Finding("store", "warning", "the project has none yet", "zato-lite serve")
        return
    for problem in check_store(session.project, store, is_full=False):
        yield Finding("store", "error", problem, "zato-lite db restore BACKUP")


def _jobs(session: Session) -> Iterator[Finding]:
    found: dict[str, Any] = session.call("zato.scheduler.get-attention", limit=_SHOWN)
    for each in found["items"]:
        step = f"zato-lite job why {each['job_name']!r}"
        yield Finding(each["job_name"], "warning", each["sentence"], step)
    if found["total"] > _SHOWN:
        yield Finding("jobs", "warning", f"{found['total']} troubles of jobs", "zato-lite top")
