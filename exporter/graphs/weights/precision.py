"""The types a family's graphs can be exported in, and what each means for the weights. Pure."""

from dataclasses import dataclass

from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """`dtype` of activations, norms, routers, embeddings and whatever is not quantised; `bits` of the routed experts,
    `matrix_bits` of all other matrices (None: they are not quantised)."""

    name: str
    dtype: str
    bits: int | None = None
    matrix_bits: int | None = None

    @property
    def half(self) -> bool:
        """Whether activations have 16 bits, for which the CPU has no kernels or not all."""
        return self.dtype != "float32"

    @property
    def tiled(self) -> bool:
        """Whether its matrices are cut into tiles for the CPU's kernels: plain float32, which CUDA's fused attention
        does not take."""
        return self.dtype == "float32" and self.bits is None


PRECISIONS: tuple[Precision, ...] = (
    Precision(name="float32", dtype="float32"),
    Precision(name="float16", dtype="float16"),
    Precision(name="bfloat16", dtype="bfloat16"),
    Precision(name="int8", dtype="float32", bits=8, matrix_bits=8),
    # The experts are almost all of the weights; the rest in 4 bits costs more accuracy than the bytes are worth.
    Precision(name="int4", dtype="float32", bits=4, matrix_bits=8),
)
# Values per scale that both quantised kernels take, by bits, the preferred number first. Wide groups are smaller and
# quicker (8 bits in groups of 128, not 32: decoding by a third, prefill by a tenth), but 4 bits lose accuracy by them.
GROUP_SIZES = {8: (128, 64, 32, 16), 4: (32, 16)}


def find_precision(name: str) -> Precision:
    """The precision of that name. Raises PlanError naming the known ones."""
    for precision in PRECISIONS:
        if precision.name == name:
            return precision
    raise PlanError(f'unknown dtype "{name}"; there are {", ".join(precision.name for precision in PRECISIONS)}')


def group_size(width: int, bits: int, *, tensor: str) -> int:
    """The values per scale for rows of `width` in so many bits. Raises PlanError naming the tensor when no group size
    divides the width."""
    sizes = GROUP_SIZES[bits]
    for size in sizes:
        if width % size == 0:
            return size
    raise PlanError(
        f"{tensor}: rows of {width} values cannot be quantised in groups; the width must be a multiple of {sizes[-1]}"
    )
