"""Numbers of things in messages."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, which takes an "s" unless there is one: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
