"""Ends an answer before the first of some texts, which may begin in one token and end in another."""

from collections.abc import Sequence


class StopTexts:
    """Holds text back only while it may become part of a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Empty texts stop nothing."""
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Take further text; returns what may be shown, and sets `found` when the answer ends there."""
        if not self._stops or not text:
            return text
        held = self._held + text
        places = [place for place in (held.find(stop) for stop in self._stops) if place >= 0]
        if places:
            self.found, self._held = True, ""
            return held[: min(places)]
        open_from = len(held) - self._open(held)
        self._held = held[open_from:]
        return held[:open_from]

    def end(self) -> str:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return held

    def _open(self, held: str) -> int:
        """The length of the longest end of `held` that a stop text begins with."""
        for length in range(min(len(held), self._longest - 1), 0, -1):
            ending = held[-length:]
            if any(stop.startswith(ending) for stop in self._stops):
                return length
        return 0
