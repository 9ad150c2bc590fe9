"""Makes a prepared form, or finds the one that is there."""

import logging
import time
from pathlib import Path

from msgspec.structs import replace

from runtime.documents.graph_contract import PACKED
from runtime.documents.manifest import Manifest
from runtime.engines.onnx.packing.pack import pack_weights
from runtime.engines.onnx.packing.same_answers import check_answers
from runtime.engines.onnx.packing.source import Source, covering, read_source
from runtime.engines.prepared.document import PreparedDocument
from runtime.engines.prepared.forms import PreparedForms
from runtime.engines.prepared.prepared import Prepared
from runtime.engines.trust import CheckRecords
from runtime.errors import TargetError, TrimoeError
from runtime.text.progress import NoProgress, Progress

_log = logging.getLogger(__name__)


def prepare(
    forms: PreparedForms, source: Source, *, progress: Progress, records: CheckRecords | None = None
) -> Prepared:
    """The prepared form of `source` among `forms`; where it has to be made, graphs answer on it as they do without it
    before it can be seen.

    `progress` is told bytes. Raises TargetError where that cannot be written, VerificationError.
    """

    def build(folder: Path) -> PreparedDocument:
        began = time.perf_counter()
        packed = pack_weights(source, folder / source.data.name, progress)
        document = PreparedDocument(
            origin=source.origin, weights=packed.weights, tensors=packed.tensors, seconds=time.perf_counter() - began
        )
        check_answers(Prepared(folder=folder, document=document), covering(source.decoders))
        return replace(document, seconds=time.perf_counter() - began)

    try:
        return forms.make(source.origin, build, records)
    except OSError as error:
        reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise TargetError(f"{forms.place}: {source.data} cannot be prepared there: {reason}") from error
    finally:
        progress.end()


def open_prepared(
    forms: PreparedForms | None, folder: Path, manifest: Manifest, dtype: str, records: CheckRecords | None
) -> Prepared | None:
    """What an engine runs the family's graphs in that type on: the prepared form, made now if need be. None where there
    is none to have, with a warning where it should be there: each session then packs weights for itself."""
    if forms is None or dtype not in PACKED:
        return None
    try:
        source = read_source(folder, manifest, dtype)
        found = forms.find(source.origin, records)
        if found is None:
            _log.info("%s: packing its %s weights for this processor in %s", folder, dtype, forms.place)
            found = prepare(forms, source, progress=NoProgress(), records=records)
    except TrimoeError as error:
        _log.warning(
            "%s: its %s graphs run without a prepared form: each variant packs weights for itself, which takes memory "
            "and time to load: %s",
            folder,
            dtype,
            error,
        )
        return None
    return found
