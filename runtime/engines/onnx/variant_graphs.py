"""The open sessions of one variant: its decoder and the graphs in front of it."""

from pathlib import Path

from runtime.documents.family_layout import EMBEDDINGS, VISION
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import SharedGraph, SharedGraphs


class VariantGraphs:
    """What one part of a batch runs on; parts that run at the same time need one each."""

    def __init__(self, folder: Path, variant: str, *, provider: str, threads: int) -> None:
        """Open the graphs of `variant` in the folder of its type. Raises VerificationError."""

        def shared(name: str, count: int) -> SharedGraph | None:
            path = folder / f"{name}.onnx"
            if not path.is_file():
                return None
            return SharedGraph(open_session(path, provider=provider, threads=count, spinning=False), name)

        # The sessions take turns: idle threads of one that burn time take it from the next.
        decoder = open_session(folder / f"{variant}.onnx", provider=provider, threads=threads, spinning=False)
        self.decoder = OnnxDecoder(decoder)
        # Embeddings copy rows: waking a thread takes longer.
        self.shared = SharedGraphs(embeddings=shared(EMBEDDINGS, 1), vision=shared(VISION, threads))
