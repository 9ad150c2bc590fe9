"""The family, what would be chosen, and what was."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from runtime.documents.manifest import VariantRecord
from runtime.selection.choice import NoFeasibleVariantError
from runtime.serving.http.answering.ask import Reader
from runtime.serving.http.answering.failures import api_error
from runtime.serving.http.answering.prompt_length import check_tokens
from runtime.serving.http.routes.declared import ANSWERING, WITHOUT_BODY, Serving, errors
from runtime.serving.http.schema.chat_request import ChooseRequest
from runtime.serving.http.schema.family_view import (
    ChoiceView,
    DecisionsView,
    FamilyView,
    VariantView,
    choice_view,
    refusal_view,
)

router = APIRouter(prefix="/trimoe", tags=["family"])


@router.get("/family", responses=errors(*WITHOUT_BODY))
async def show_family(service: Serving) -> FamilyView:
    """The family and its variants."""
    family = service.current.family
    manifest = family.manifest
    return FamilyView(
        name=service.name,
        digest=service.current.digest,
        architecture=manifest.source.architecture,
        reads_images=family.reads_images,
        dtypes=list(family.dtypes),
        tasks=list(family.tasks),
        max_output_tokens=service.limits.output_tokens,
        variants=[_variant(one) for one in manifest.variants],
    )


@router.post("/choose", responses=errors(*ANSWERING))
async def choose(asked: ChooseRequest, service: Serving) -> ChoiceView:
    """What would be chosen for such a request now, and why not the others; nothing is generated."""
    with service.admission.place(), service.current.lease() as family:
        reader = Reader(name=service.name, family=family, limits=service.limits, pictures=service.pictures)
        try:
            request = await asyncio.to_thread(reader.choice, asked)
            await check_tokens(family, request, most=service.limits.prompt_tokens)
            return choice_view(await asyncio.to_thread(family.choose, request))
        except NoFeasibleVariantError as error:
            return refusal_view(error)
        except Exception as error:
            raise api_error(error, retry_after_s=service.admission.retry_after_s) from error


@router.get("/decisions", responses=errors(*WITHOUT_BODY))
async def show_decisions(service: Serving, after: Annotated[int, Query(ge=0, le=2**53)] = 0) -> DecisionsView:
    """The last answers and refusals after a number, without their text."""
    return service.books.recent.after(after)


def _variant(found: VariantRecord) -> VariantView:
    return VariantView(
        id=found.id,
        blocks=len(found.layers),
        removed=list(found.removed),
        top_k=None if found.top_k is None else list(found.top_k),
        parameters=found.parameters,
        active_parameters=found.active_parameters,
        bytes=found.bytes,
    )
