"""The family and its variants as models."""

from typing import Annotated

from fastapi import APIRouter, Path

from runtime.serving.http.answering.models import model_names, pinned
from runtime.serving.http.routes.declared import WITHOUT_BODY, Serving, errors
from runtime.serving.http.schema.model_list import Model, ModelList

router = APIRouter(prefix="/v1/models", tags=["models"], responses=errors(*WITHOUT_BODY))


@router.get("")
async def list_models(service: Serving) -> ModelList:
    """The family first, then each variant; a variant in one type of weights is VARIANT:TYPE where there are several."""
    return ModelList(
        object="list", data=[_model(one, service.begun) for one in model_names(service.name, service.current.family)]
    )


@router.get("/{model}")
async def retrieve_model(model: Annotated[str, Path(max_length=256)], service: Serving) -> Model:
    """One of them."""
    pinned(model, service.name, service.current.family)
    return _model(model, service.begun)


def _model(name: str, begun: int) -> Model:
    return Model(id=name, object="model", created=begun, owned_by="trimoe")
