"""What an export asks of its source besides the tensors it copies: a head that is as config.json says, and auxiliary
files that stay as they were."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from exporter.checkpoint.checkpoint import CONFIG, Checkpoint, TensorRecord
from exporter.plan.config_edit import edit_auxiliary
from exporter.plan.plan import Plan
from runtime.documents.checked_json import read_bytes
from runtime.errors import CheckpointError, DocumentError, SourceChangedError

TIED = "tie_word_embeddings"
_CHUNK_BYTES = 4 * 1024 * 1024


def check_tied_head(plan: Plan) -> None:
    """Raise CheckpointError when config.json ties the head to the embeddings, but the checkpoint has both and they
    differ.

    What such a checkpoint computes depends on who loads it: transformers 5 keeps both and warns, earlier ones and the
    graphs use the embeddings twice. Reads the two tensors, and only where both are there and the config ties them.
    """
    checkpoint, parts = plan.checkpoint, plan.architecture.decoder
    names = (*parts.embeddings, parts.head)
    if (
        checkpoint.config.get(TIED) is not True
        or len(names) != 2
        or not all(name in checkpoint.tensors for name in names)
    ):
        return
    embeddings, head = (checkpoint.tensors[name] for name in names)
    if (embeddings.dtype, embeddings.shape) != (head.dtype, head.shape) or not _same_bytes(
        checkpoint, embeddings, head
    ):
        raise CheckpointError(
            f'{checkpoint.folder / CONFIG}: {TIED} is true, but the tensors "{names[0]}" and "{names[1]}" differ; '
            f"set it to false where the model was trained with both, or remove the second one"
        )


def _same_bytes(checkpoint: Checkpoint, first: TensorRecord, second: TensorRecord) -> bool:
    """Whether two tensors of equal size hold the same bytes."""
    try:
        with (checkpoint.folder / first.file).open("rb") as one, (checkpoint.folder / second.file).open("rb") as other:
            one.seek(first.begin)
            other.seek(second.begin)
            for done in range(0, first.bytes, _CHUNK_BYTES):
                count = min(_CHUNK_BYTES, first.bytes - done)
                if one.read(count) != other.read(count):
                    return False
    except OSError as error:
        raise CheckpointError(f"{error.filename or checkpoint.folder}: cannot be read: {error.strerror}") from error
    return True


def check_auxiliary_files(plan: Plan, auxiliary: Mapping[str, bytes]) -> None:
    """Raise SourceChangedError unless config.json and the auxiliary files are still those of the plan; `auxiliary` is
    what `auxiliary_files` gave."""
    checkpoint = plan.checkpoint
    if hashlib.sha256(_read_again(checkpoint.folder / CONFIG)).hexdigest() != checkpoint.config_sha256:
        raise SourceChangedError(
            f"{checkpoint.folder / CONFIG}: changed while the export ran: it was written to after planning"
        )
    for name in checkpoint.auxiliary:
        path = checkpoint.folder / name
        try:
            same = edit_auxiliary(plan.architecture, name, _read_again(path)) == auxiliary[name]
        except DocumentError:
            same = False
        if not same:
            raise SourceChangedError(f"{path}: changed while the export ran: it was written to after planning")


def _read_again(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except DocumentError as error:
        raise SourceChangedError(f"{error}; it was there when the export was planned") from error
