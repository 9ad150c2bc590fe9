"""Loads another family beside the one that is served, and switches when it is ready."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from runtime.engines.memory import give_back
from runtime.errors import TrimoeError
from runtime.serving.http.api_error import ApiError
from runtime.serving.http.current_family import CurrentFamily
from runtime.serving.http.observing.metrics import Metrics
from runtime.serving.http.served import Served

Load = Callable[[Path], Served]
_log = logging.getLogger(__name__)


class Reloading:
    """Changes the family, one change at a time. `load` opens and tests a family; it may take long and may fail: then
    the old one stays."""

    def __init__(self, path: Path, load: Load, current: CurrentFamily, metrics: Metrics) -> None:
        """`path` is the folder that is loaded again unless another one is named."""
        self._path, self._load, self._current, self._metrics = path, load, current, metrics
        self._busy = False

    async def reload(self, path: Path | None = None) -> str:
        """Load the family at `path` and serve it from now on; returns its digest. Raises ApiError."""
        if self._busy:
            raise ApiError(409, "another family is being loaded", code="swap_in_progress")
        self._busy = True
        try:
            family = await asyncio.to_thread(self._load, path or self._path)
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
        self._path = path or self._path
        self._current.replace(family)
        self._metrics.swapped("done")
        _log.info("family changed to %s", self._current.digest)
        return self._current.digest
