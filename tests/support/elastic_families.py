"""A family whose blocks make variants that were never exported."""

from msgspec.structs import replace

from runtime.documents.accuracy.accuracy_model import Setting
from runtime.documents.manifest import Manifest, SourceRecord, VariantRecord
from tests.support.accuracy_models import BLOCKS, SOURCE, TOP_K, WHOLE, removing
from tests.support.documents import MANIFEST as DOCUMENT


def variant(setting: Setting, name: str) -> VariantRecord:
    removed = tuple(block for block in range(BLOCKS) if block not in setting.layers)
    size = 100 + 10 * len(setting.layers)
    return replace(
        DOCUMENT.variants[0],
        id=name,
        folder=f"variants/{name}",
        layers=setting.layers,
        removed=removed,
        top_k=setting.top_k,
        drop=None,
        parameters=size,
        active_parameters=size,
        bytes=size,
        shared_bytes=0,
    )


def family() -> Manifest:
    """All blocks with 8 experts and with 4, and without three blocks."""
    source: SourceRecord = replace(DOCUMENT.source, digest=SOURCE, blocks=BLOCKS, experts=16, top_k=TOP_K)
    fewer = (TOP_K, *(4,) * (BLOCKS - 1))
    variants = (
        variant(WHOLE, "b8-k8"),
        variant(removing((), fewer), "b8-k4"),
        variant(removing((5, 6, 7)), "b5-k8"),
    )
    return replace(DOCUMENT, source=source, variants=variants)
