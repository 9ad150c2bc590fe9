"""Names of models: the family's, each variant's, and a variant's in one type of weights where there are several."""

from collections.abc import Sequence

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.served import Served

_LISTED = 20


def model_names(name: str, family: Served) -> Sequence[str]:
    """The family's name first."""
    variants = [variant.id for variant in family.manifest.variants]
    typed = [f"{one}:{dtype}" for one in variants for dtype in family.dtypes] if len(family.dtypes) > 1 else []
    return (name, *variants, *typed)


def pinned(model: str, name: str, family: Served) -> tuple[str | None, str | None]:
    """The variant and the type of weights that a model's name pins. Raises ApiError for an unknown name."""
    known = model_names(name, family)
    if model not in known:
        listed = ", ".join(known[:_LISTED]) + (", …" if len(known) > _LISTED else "")
        raise ApiError(404, f"no model {model[:80]!r}; there are {listed}", code="model_not_found", param="model")
    if model == name:
        return None, None
    variant, _, dtype = model.partition(":")
    return variant, dtype or None
