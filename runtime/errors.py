"""The errors of trimoe: one root, one class per different reaction of the caller.

TrimoeError
├── DocumentError      a JSON document is not what it must be: mend the file
├── CheckpointError    the source checkpoint cannot be used: mend or convert it
├── PlanError          the request asks for what the model or the evidence does not allow: ask for something else
├── TargetError        the target cannot be written (full, read-only, taken, busy): free or change the target
├── SourceChangedError the source changed while it was read: run again when it is still
├── EngineError        what runs a variant failed while it ran: ask again, look at its log
├── VerificationError  an artifact is not what it claims to be: do not use it
├── OutsideDomainError a prediction is asked for where nothing was measured: measure there, or accept a wider bound
├── MissingPackageError a package that the request needs is not installed: install it
├── RequestError       a request that no waiting helps: shorten or change it
├── DeadlineError      an answer cannot come in time: allow more time, or ask again later
├── OverloadedError    too much is asked at once: ask again later
└── MemoryLimitError   what is to be loaded does not fit into memory: free some, or load less
"""


class TrimoeError(Exception):
    """Root of every error that trimoe raises on purpose; its text is one sentence a user can act on."""


class DocumentError(TrimoeError):
    """A JSON document is malformed; the text names the file and the key path."""


class CheckpointError(TrimoeError):
    """A checkpoint folder cannot be used as a source; the text names the file and the place."""


class PlanError(TrimoeError):
    """A request does not fit the model or the evidence; the text names the value and the limit."""


class TargetError(TrimoeError):
    """The target folder cannot be written; the text names the path and the reason."""


class SourceChangedError(TrimoeError):
    """A source file changed between planning and the end of copying."""


class EngineError(TrimoeError):
    """An engine raised while it ran a request; the text says what, and its cause is what was raised."""


class VerificationError(TrimoeError):
    """An artifact differs from what was planned or recorded; the text names file, tensor and byte range."""


class OutsideDomainError(TrimoeError):
    """An input lies outside what an estimator was fitted on; the text names the input, its value and the limits."""


class MissingPackageError(TrimoeError):
    """A package that only some uses need cannot be imported; the text names it and how to get it."""

    @classmethod
    def of(cls, error: ImportError, *, needed_by: str, extras: str) -> "MissingPackageError":
        """The error for what could not be imported: `needed_by` asked for it, `extras` of trimoe bring it."""
        package = (error.name or "that is missing").partition(".")[0]
        if isinstance(error, ModuleNotFoundError):
            why = f"is not installed: pip install 'trimoe[{extras}]'"
        else:
            why = f"cannot be imported: {error}"
        return cls(f"{needed_by} needs the package {package}, which {why}")


class RequestError(TrimoeError):
    """A request asks for what the model or a limit does not allow; the text names the value and the limit."""


class OverloadedError(TrimoeError):
    """Too many requests wait, or one waited too long; `retry_after_s` seconds later there may be room."""

    def __init__(self, text: str, *, retry_after_s: float) -> None:
        """`text` names the number and the limit."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class DeadlineError(TrimoeError):
    """An answer cannot be there before its deadline; `retry_after_s` seconds later it might."""

    def __init__(self, text: str, *, retry_after_s: float) -> None:
        """`text` says by how much the deadline is missed."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class MemoryLimitError(TrimoeError):
    """What is to be loaded needs more memory than there is; the text names the bytes needed and available."""
