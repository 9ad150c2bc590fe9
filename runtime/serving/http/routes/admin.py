"""Changing the family while the server runs."""

from pathlib import Path

from fastapi import APIRouter

from runtime.serving.http.api_error import ApiError
from runtime.serving.http.routes.declared import WITHOUT_BODY, Serving, errors
from runtime.serving.http.schema.status import Swapped, SwapRequest

router = APIRouter(prefix="/admin", tags=["operation"])


@router.post("/family", responses=errors(*WITHOUT_BODY, 403, 409, 422))
async def change_family(asked: SwapRequest, service: Serving) -> Swapped:
    """Load and test a family beside the old one, then serve it; requests in progress end with the old one, and if the
    new one cannot be loaded the old one stays. To name another folder an admin key is needed."""
    if asked.path is not None and not service.admin_keys:
        raise ApiError(403, "another path may be named only where admin keys are set", code="admin_only", param="path")
    return Swapped(digest=await service.reloading.reload(None if asked.path is None else Path(asked.path)))
