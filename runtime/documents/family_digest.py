"""The name of a family that does not change with its formats: the digest of its weights and of what each variant is."""

import hashlib
import json
from collections.abc import Iterable
from typing import Protocol

from runtime.documents.family_layout import WEIGHTS
from runtime.documents.manifest import FileRecord


class Member(Protocol):
    """A variant, planned or recorded."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The source block of each layer."""

    @property
    def top_k(self) -> tuple[int, ...] | None:
        """The experts per token of each layer (None: dense)."""


def family_digest(files: Iterable[FileRecord], variants: Iterable[Member]) -> str:
    """The sha256 over the digests of the weight files among `files`, and each variant's blocks and experts per token.

    Formats, golden files and the versions that wrote them play no part: the same weights and the same plan give the
    same digest.
    """
    weights = [(file.path, file.sha256) for file in files if file.path.startswith(f"{WEIGHTS}/")]
    members = [(variant.id, variant.layers, variant.top_k) for variant in variants]
    return hashlib.sha256(json.dumps([weights, members]).encode()).hexdigest()
