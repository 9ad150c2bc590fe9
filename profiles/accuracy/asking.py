"""How a question becomes the text that a model reads, and how what it says becomes an answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from profiles.datasets.dataset import fill_prompt
from profiles.sample import Sample
from runtime.engines.prompts import PromptReader

ChatText = Callable[[Sequence[Mapping[str, str]]], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """With `chat_text` a question is a user's turn, behind the `system` text if there is one; without, the text itself.
    An answer ends before the first of the texts `stop`."""

    chat_text: ChatText | None = None
    system: str | None = None
    stop: tuple[str, ...] = ()

    def prompt(self, template: str, sample: Sample) -> str:
        """What the model reads. Raises DatasetError as `fill_prompt`, DocumentError for a chat template that fails."""
        question = fill_prompt(template, sample)
        if self.chat_text is None:
            return question
        begin = [] if self.system is None else [{"role": "system", "content": self.system}]
        return self.chat_text([*begin, {"role": "user", "content": question}])

    def answer(self, text: str) -> str:
        """What counts of a text that the model made."""
        places = [place for stop in self.stop if stop and (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text


PLAIN = Asking()


def asking_of(reader: PromptReader, *, chat: bool | None, system: str | None, stop: Sequence[str] = ()) -> Asking:
    """As a chat where that is asked for, or, with `chat` None, where the tokenizer of a model of text has a template: a
    model that learnt to chat answers little else. A model that reads pictures puts questions in its own style itself.
    """
    wanted = reader.has_chat_template and reader.crop_settings is None if chat is None else chat
    return Asking(chat_text=reader.chat_text if wanted else None, system=system if wanted else None, stop=tuple(stop))
