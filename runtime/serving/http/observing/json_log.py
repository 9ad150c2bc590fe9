"""Log records as JSON lines."""

import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One object a record: time, level, logger, event, the fields that it was given, and where it failed."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage().strip(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info is not None:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)
