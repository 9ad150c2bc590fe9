"""Loads another family beside the one that is served, and switches when it is ready."""

import asyncio
import logging
from collections.abc import Callable

from runtime.engines.memory import give_back
from runtime.errors import TrimoeError
from runtime.serving.http.api_error import ApiError
from runtime.serving.http.current_family import CurrentFamily
from runtime.serving.http.observing.metrics import Metrics
from runtime.serving.http.served import Files, Served

Load = Callable[[Files], Served]
_log = logging.getLogger(__name__)


class Reloading:
    """Changes the family, one change at a time. `load` opens and tests a family; it may take long and may fail: then
    the old one stays."""

    def __init__(self, files: Files, load: Load, current: CurrentFamily, metrics: Metrics) -> None:
        """`files` are those of the family that is served."""
        self.files, self._load, self._current, self._metrics = files, load, current, metrics
        self._busy = False

    async def reload(self, files: Files | None = None) -> str:
        """Load a family and serve it from now on, None: the same files, read anew; returns its digest. Raises
        ApiError."""
        if self._busy:
            raise ApiError(409, "another family is being loaded", code="swap_in_progress")
        self._busy = True
        asked = files or self.files
        _log.info("loading %s", asked.path)
        try:
            family = await asyncio.to_thread(self._load, asked)
        except TrimoeError as error:
            await asyncio.to_thread(give_back)
            self._metrics.swapped("failed")
            _log.error("family not changed: %s", error)
            raise ApiError(422, f"the old family stays: {error}", code="family_not_loaded") from error
        except Exception:
            self._metrics.swapped("failed")
            raise
        finally:
            self._busy = False
        self.files = asked
        self._current.replace(family)
        self._metrics.swapped("done")
        _log.info("family changed to %s", self._current.digest)
        return self._current.digest
