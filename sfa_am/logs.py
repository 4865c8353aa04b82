"""The log: one structured line per happening, for people or for machines, on standard error.

Within a call every line carries its request id (bound by `wire.xmlrpc`). Secrets never come here: credentials, keys and
bodies are not logged, only names and numbers.
"""

import logging
import sys
from typing import Any, cast

import structlog
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner

from sfa_am.config import Log


def configure(settings: Log) -> None:
    """Set the log up for this process; Twisted's own events come through it too."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.format == "json"
        # Plain tracebacks: the fancy ones print local variables, and keys and credentials are among those.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    globalLogBeginner.beginLoggingTo([cast(Any, _from_twisted)], redirectStandardIO=False, discardBuffer=True)


_QUIET = {LogLevel.debug: logging.DEBUG, LogLevel.info: logging.DEBUG}
"""Twisted tells every connection at its level info, which is our debug."""


def _from_twisted(event: LogEvent) -> None:
    level = cast(Any, event.get("log_level", LogLevel.info))
    number = _QUIET.get(level, logging.ERROR if level in (LogLevel.error, LogLevel.critical) else logging.WARNING)
    extra = {"failure": event["log_failure"].getTraceback()} if "log_failure" in event else {}
    structlog.get_logger().log(number, formatEvent(event), source=event.get("log_namespace"), **extra)
