"""The forms of a family that can be measured: engines, and for ONNX Runtime the types of weights that it has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from profiles.errors import MeasurementError
from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.family_layout import GRAPHS
from runtime.documents.manifest import Manifest

ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """An engine and the type of weights that it runs; the torch engine has the checkpoint's, `dtype` None."""

    engine: str
    dtype: str | None

    @property
    def name(self) -> str:
        """The form in a word."""
        return self.engine if self.dtype is None else f"{self.engine}-{self.dtype}"


def find_forms(manifest: Manifest, *, engine: str, dtypes: Sequence[str]) -> tuple[Form, ...]:
    """The forms of one engine or ALL; `dtypes` chooses among the ONNX graphs (none: all there are).

    Raises MeasurementError where graphs are asked for that the family does not have, naming those it has.
    """
    return tuple(
        form
        for name in (ENGINES if engine == ALL else (engine,))
        for form in (
            _graphs(manifest, dtypes, needed=engine == ONNX) if name == ONNX else (Form(engine=name, dtype=None),)
        )
    )


def _graphs(manifest: Manifest, dtypes: Sequence[str], *, needed: bool) -> Iterator[Form]:
    parts = [file.path.split("/") for file in manifest.files]
    have = sorted({part[1] for part in parts if part[0] == GRAPHS and len(part) > 2})
    missing = [dtype for dtype in dtypes if dtype not in have]
    if missing or (needed and not have):
        raise MeasurementError(
            f"no ONNX graphs{f' in {missing[0]}' if missing else ''}; the family has {', '.join(have) or 'none'}: "
            "export with --format safetensors,onnx"
        )
    return (Form(engine=ONNX, dtype=dtype) for dtype in dict.fromkeys(dtypes or have))
