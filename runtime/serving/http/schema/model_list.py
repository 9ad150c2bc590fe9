"""What /v1/models gives."""

from typing import Literal

from runtime.serving.http.schema.strict import Given


class Model(Given):
    """The family, or a variant of it in one type of weights; `trimoe` says which."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Given):
    """All of them."""

    object: Literal["list"]
    data: list[Model]
