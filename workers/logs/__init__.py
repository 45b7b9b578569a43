"""The writer of an attempt's log: numbered, redacted, bounded, live, and never lost with its worker."""

from workers.logs.redact import Redactor
from workers.logs.spool import FinishedLog, LogLimits, discard, leftovers, recover, spool_path
from workers.logs.writer import AttemptLog

__all__ = ["AttemptLog", "FinishedLog", "LogLimits", "Redactor", "discard", "leftovers", "recover", "spool_path"]
