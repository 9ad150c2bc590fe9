"""A request in the scheduler, from its arrival to its end."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from runtime.documents.graph_contract import INPUT_IDS
from runtime.engines.protocol import Prompt
from runtime.serving.answer import CANCELLED
from runtime.serving.batching.answering.log_probabilities import Texts, log_probability
from runtime.serving.batching.answering.sampler import Draw, Logits
from runtime.serving.batching.answering.transcript import Transcript
from runtime.serving.batching.listener import Finish, Listener
from runtime.serving.batching.times import Times
from runtime.serving.request import Sampling

LOADING, WAITING, READING, RUNNING, ENDED = "loading", "waiting", "reading", "running", "ended"
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """Belongs to the scheduler's thread, but for `cancelled`, which any thread may set.

    `urgency` is the moment at which it has to begin (deadline less predicted time): the earliest goes first. `bytes` is
    what its keys and values take. `unread` tokens of its prompt are left to be read, `reused_tokens` of it never were.
    `error` ends it. `suspect`: the engine failed while it ran with others, so it goes on alone until that is known to
    work. `held`: its variant is kept loaded.
    """

    prompt: Prompt
    sampling: Sampling
    listener: Listener
    transcript: Transcript
    draw: Draw
    times: Times
    deadline: float | None
    predicted_s: float
    urgency: float
    bytes: int
    unread: int
    reused_tokens: int = 0
    state: str = LOADING
    cancelled: bool = False
    suspect: bool = False
    held: bool = False
    error: Exception | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it but to say so."""
        return self.cancelled or self.error is not None or self.transcript.reason is not None

    @property
    def room(self) -> int:
        """How many tokens it may still get."""
        return self.transcript.room - len(self.transcript.tokens)

    def add(self, token: int, logits: Logits, texts: Texts) -> None:
        """Take the next token of the answer, chosen by `logits` [vocabulary], and tell the listener. A text that cannot
        be made, or a listener that raises, ends the request."""
        if self.cancelled:
            return
        try:
            count, found = self.sampling.top_logprobs, None
            if count is not None:
                found = log_probability(logits, token, count=count, texts=texts)
            self.listener.piece(self.transcript.add(token, found))
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this request only
            _log.warning("a request failed", exc_info=True)
            self.error = error

    def end(self, now: float) -> None:
        """Tell the listener how it ended."""
        try:
            if self.error is not None:
                self.listener.failed(self.error)
            else:
                self.listener.finished(self._finish(now))
        except Exception:  # noqa: BLE001 - as above
            _log.warning("a listener failed", exc_info=True)

    def start_again(self) -> None:
        """Wait to be read anew, with the tokens of its answer behind its prompt."""
        self.suspect, self.state, self.unread = True, WAITING, len(self.whole_prompt().arrays[INPUT_IDS])

    def whole_prompt(self) -> Prompt:
        """The prompt with what was answered so far."""
        tokens = self.transcript.tokens
        if not tokens:
            return self.prompt
        ids = np.concatenate([self.prompt.arrays[INPUT_IDS], np.asarray(tokens, np.int64)])
        return replace(self.prompt, arrays={**self.prompt.arrays, INPUT_IDS: ids})

    def _finish(self, now: float) -> Finish:
        transcript = self.transcript
        return Finish(
            text=transcript.text,
            tokens=tuple(transcript.tokens),
            reason=transcript.reason or CANCELLED,
            timing=self.times.timing(now),
            log_probabilities=tuple(transcript.log_probabilities),
            reused_tokens=self.reused_tokens,
        )
