"""One variant alone in production, from its family or from a copy of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from runtime.documents.baseline import ONNX
from runtime.documents.family_files import FamilyFiles
from runtime.errors import DocumentError
from runtime.serving.answer import Answer
from runtime.serving.family import Family
from runtime.serving.family_settings import FamilySettings
from runtime.serving.request import Request
from runtime.serving.stream import AsyncStream, Stream


class Variant:
    """Answers requests as a family does (runtime/serving/family.py), always by the same variant."""

    def __init__(self, family: Family) -> None:
        """`family` has one variant in one type of weights, and is closed with this."""
        self._family = family
        self.id, self.dtype = family.manifest.variants[0].id, family.dtypes[0]

    @classmethod
    def load(
        cls,
        path: str | Path,
        variant: str | None = None,
        *,
        engine: str = ONNX,
        dtype: str | None = None,
        device: str | None = None,
        settings: FamilySettings | None = None,
    ) -> Self:
        """The variant of that id of the family in the folder `path`, or the one in a copy (`trimoe standalone`), in the
        type of weights `dtype`; each may be left out where there is only one. Its files have passed their digests and
        it has repeated its golden outputs on this machine when it is returned.

        Raises DocumentError for what is not what it must be and for what has to be chosen, VerificationError for a file
        or an answer that is not the recorded one, MissingPackageError, MemoryLimitError.
        """
        chosen = variant or _only(path, [one.id for one in FamilyFiles(Path(path)).manifest().variants], "variant")
        family = Family.load(
            path,
            engine=engine,
            device=device,
            dtypes=None if dtype is None else [dtype],
            settings=replace(settings or FamilySettings(), variants=(chosen,)),
        )
        try:
            _only(path, family.dtypes, "dtype")
            family.prepare()
        except BaseException:
            family.close()
            raise
        return cls(family)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """See Family."""
        return self._family.chat_text(messages)

    def generate(self, request: Request) -> Answer:
        """See Family."""
        return self._family.generate(request)

    def stream(self, request: Request) -> Stream:
        """See Family."""
        return self._family.stream(request)

    async def generate_async(self, request: Request) -> Answer:
        """See Family."""
        return await self._family.generate_async(request)

    async def stream_async(self, request: Request) -> AsyncStream:
        """See Family."""
        return await self._family.stream_async(request)

    def close(self, *, drain: bool = False) -> None:
        """See Family."""
        self._family.close(drain=drain)


def _only(path: str | Path, names: Sequence[str], what: str) -> str:
    if len(names) > 1:
        raise DocumentError(f"{path}: has {', '.join(names)}; say which with {what}=")
    return names[0]
