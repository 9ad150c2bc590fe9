"""Compare the tensors of a source checkpoint with what a family recorded of them when it was cut."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter.checkpoint.checkpoint import Checkpoint, source_digest
from exporter.verify.family_digests import THREADS, range_sha256
from runtime.documents.manifest import Manifest
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import DocumentError, VerificationError
from runtime.text.counted import counted


def source_bytes(checkpoint: Checkpoint) -> int:
    """The bytes of all tensors of the source: the work of `check_source`."""
    return sum(record.bytes for record in checkpoint.tensors.values())


def check_source(folder: Path, manifest: Manifest, checkpoint: Checkpoint, progress: Callable[[int], None]) -> str:
    """Check that the family at `folder` was cut from this checkpoint; returns a sentence.

    Raises VerificationError naming the first tensor, its file and bytes, that is missing or whose digest is not the
    recorded one, or saying that config or headers are others.
    """
    try:
        recorded = {tensor.source: tensor.sha256 for shard in read_tensor_digests(folder) for tensor in shard.tensors}
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    missing = sorted(recorded.keys() - checkpoint.tensors.keys())
    if missing:
        raise VerificationError(
            f"{checkpoint.folder}: tensor {missing[0]} is missing, from which "
            f"the family was cut ({len(missing)} in all)"
        )
    records = [record for name, record in checkpoint.tensors.items() if name in recorded]
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(lambda r: range_sha256(checkpoint.folder / r.file, r.begin, r.end, progress), records))
    wrong = [record for record, digest in zip(records, digests, strict=True) if digest != recorded[record.name]]
    if wrong:
        first = wrong[0]
        others = f" ({counted(len(wrong) - 1, 'more tensor')} differ)" if len(wrong) > 1 else ""
        raise VerificationError(
            f"{checkpoint.folder / first.file}: tensor {first.name} (bytes {first.begin}–{first.end}) is not what "
            f"the family was cut from{others}"
        )
    if source_digest(checkpoint) != manifest.source.digest:
        raise VerificationError(
            f"{checkpoint.folder}: the tensors are those the family was cut from, but config.json or the file "
            "headers are others"
        )
    return f"{counted(len(records), 'tensor')} of {checkpoint.folder.name} are those the family was cut from"
