"""Changing the family while the server runs."""

from fastapi import APIRouter

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.routes.declared import WITHOUT_BODY, Serving, errors
from runtime.serving.http.schema.status import Swapped, SwapRequest

router = APIRouter(prefix="/admin", tags=["operation"])
SAME = SwapRequest()


@router.post("/family", responses=errors(*WITHOUT_BODY, 403, 409, 422))
async def change_family(service: Serving, asked: SwapRequest = SAME) -> Swapped:
    """Load and test a family beside the old one, then serve it; requests in progress end with the old one, and if the
    new one cannot be loaded the old one stays. Without a body the same files are read anew. To name others an admin key
    is needed."""
    if asked.model_fields_set and not service.admin_keys:
        named = min(asked.model_fields_set)
        raise ApiError(403, "other files may be named only where admin keys are set", code="admin_only", param=named)
    return Swapped(digest=await service.reloading.reload(asked.files(service.reloading.files)))
