"""The last decisions, for the page: numbers and names, no text of a request."""

import time
from collections import deque
from typing import Any

from runtime.serving.http.schema.family_view import DecisionsView, DecisionView

KEPT = 200


class RecentDecisions:
    """Remembers the last ones, numbered from 1."""

    def __init__(self) -> None:
        self._kept: deque[DecisionView] = deque(maxlen=KEPT)
        self._last = 0

    def add(self, outcome: str, **fields: Any) -> None:
        """Remember one; `fields` are DecisionView's."""
        self._last += 1
        self._kept.append(DecisionView(number=self._last, at=round(time.time(), 3), outcome=outcome, **fields))

    def after(self, number: int) -> DecisionsView:
        """Those with a higher number that are still known."""
        return DecisionsView(last=self._last, decisions=[one for one in self._kept if one.number > number])
