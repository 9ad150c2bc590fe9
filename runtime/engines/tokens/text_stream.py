"""The text of tokens as they come, in whole characters: byte-level tokenizers split characters over tokens."""

from runtime.engines.tokens.tokenizer import TextTokenizer

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what bytes that are no character, or not yet, decode to
MOST_UNFINISHED = 3  # a character has at most four bytes in UTF-8


class TextStream:
    """The text of one answer; what `push` and `end` return, joined, is the text of all its tokens.

    A token's text depends on those before it (spaces), so each piece is the difference between the texts of a few
    tokens with and without the new one. Bytes that are no character of UTF-8 come out as U+FFFD.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        """Nothing is pushed yet."""
        self._tokenizer = tokenizer
        self._tokens: list[int] = []  # those of the last piece, and those behind it
        self._known = 0  # how many of them gave a piece before
        self._told = 0  # characters of their text that were returned

    def push(self, token: int) -> str:
        """The characters that are complete with this token, perhaps none."""
        self._tokens.append(token)
        text = self._tokenizer.decode(self._tokens)
        unfinished = min(len(text) - len(text.rstrip(UNFINISHED)), MOST_UNFINISHED)
        piece, self._told = text[self._told : len(text) - unfinished], max(self._told, len(text) - unfinished)
        if piece and not unfinished:
            self._forget()
        return piece

    def end(self) -> str:
        """What is left when no further token comes."""
        return self._tokenizer.decode(self._tokens)[self._told :]

    def _forget(self) -> None:
        """Keep only the tokens of the last piece, before which nothing can change."""
        self._tokens = self._tokens[self._known :]
        self._known, self._told = len(self._tokens), len(self._tokenizer.decode(self._tokens))
