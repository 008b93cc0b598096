"""Constants of ``zato.common.api`` that have a meaning in zato-lite, under Zato's names."""

from typing import Final

__all__ = [
    "CHANNEL",
    "CONTENT_TYPE",
    "DATA_FORMAT",
    "KVDB",
    "MISC",
    "SCHEDULER",
    "URL_TYPE",
    "ZATO_DEFAULT",
    "ZATO_ERROR",
    "ZATO_NONE",
    "ZATO_NOT_GIVEN",
    "ZATO_OK",
    "ZATO_WARNING",
    "ContentType",
    "Data_Format",
    "Zato_None",
    "scheduler_date_time_format",
]

ZATO_OK: Final = "ZATO_OK"
ZATO_ERROR: Final = "ZATO_ERROR"
ZATO_WARNING: Final = "ZATO_WARNING"
ZATO_NONE: Final = "ZATO_NONE"
ZATO_DEFAULT: Final = "ZATO_DEFAULT"
ZATO_NOT_GIVEN: Final = b"ZATO_NOT_GIVEN"
Zato_None: Final = ZATO_NONE
scheduler_date_time_format: Final = "%Y-%m-%d %H:%M:%S"


class CHANNEL:
    """Channels of invocations; those in the background have zato-lite's values."""

    HTTP_SOAP: Final = "http"
    INVOKE: Final = "invoke"
    INVOKE_ASYNC: Final = "async"
    INVOKE_ASYNC_CALLBACK: Final = "async"
    FANOUT_CALL: Final = "async"
    FANOUT_ON_TARGET: Final = "async"
    FANOUT_ON_FINAL: Final = "async"
    PARALLEL_EXEC_CALL: Final = "async"
    PARALLEL_EXEC_ON_TARGET: Final = "async"
    SCHEDULER: Final = "scheduler"
    STARTUP_SERVICE: Final = "startup"


class DATA_FORMAT:
    """Data formats of payloads."""

    CSV: Final = "csv"
    DICT: Final = "dict"
    FORM_DATA: Final = "form"
    JSON: Final = "json"
    POST: Final = "post"


Data_Format = DATA_FORMAT


class SCHEDULER:
    """Constants of the scheduler."""

    class JOB_TYPE:
        """Types of jobs."""

        ONE_TIME: Final = "one_time"
        INTERVAL_BASED: Final = "interval_based"
        CRON_STYLE: Final = "cron_style"

    class OUTCOME:
        """Outcomes of runs."""

        OK: Final = "ok"
        ERROR: Final = "error"
        TIMEOUT: Final = "timeout"
        RUNNING: Final = "running"
        SKIPPED_ALREADY_IN_FLIGHT: Final = "skipped_already_in_flight"


class KVDB:
    """Constants of ``self.kvdb``."""

    SEPARATOR: Final = ":::"


class URL_TYPE:
    """Types of URLs."""

    PLAIN_HTTP: Final = "plain_http"


class MISC:
    """Other constants."""

    Default_Cluster_ID: Final = 1


class CONTENT_TYPE:
    """Types of content."""

    JSON: Final = "application/json"
    PLAIN_XML: Final = "application/xml"


class ContentType:
    """Types of content."""

    FormURLEncoded: Final = "application/x-www-form-urlencoded"
