"""Answers: /v1/chat/completions and /v1/completions."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from runtime.serving.http.answering.ask import Reader
from runtime.serving.http.answering.forms import ChatForm, CompletionForm
from runtime.serving.http.answering.replies import EVENTS, EventReply, WholeReply
from runtime.serving.http.routes.declared import ANSWERING, Responses, Serving, errors
from runtime.serving.http.schema.chat_answer import ChatCompletion
from runtime.serving.http.schema.chat_request import ChatRequest
from runtime.serving.http.schema.completion_answer import Completion
from runtime.serving.http.schema.completion_request import CompletionRequest
from runtime.serving.http.served import Served
from runtime.serving.http.service import Service
from runtime.serving.request import Request

router = APIRouter(tags=["answers"])
_TIMES = ("predicted-ms", "upper-ms", "actual-ms", "queue-ms", "first-token-ms")
_HEADERS = {
    "x-trimoe-variant": {"schema": {"type": "string"}, "description": "The variant that answers."},
    "x-trimoe-dtype": {"schema": {"type": "string"}, "description": "Its type of weights."},
    "x-trimoe-best-effort": {"schema": {"type": "string", "enum": ["true", "false"]}},
    **{f"x-trimoe-{name}": {"schema": {"type": "number"}} for name in _TIMES},
}


def _answers(model: type[Any]) -> Responses:
    """A whole answer, or a stream of chunks that end with `[DONE]`."""
    content = {EVENTS: {"schema": {"type": "string"}}}
    return {200: {"model": model, "content": content, "headers": _HEADERS}, **errors(*ANSWERING)}


@router.post("/v1/chat/completions", response_model=None, responses=_answers(ChatCompletion))
async def create_chat_completion(asked: ChatRequest, service: Serving) -> Response:
    """Answer a conversation, with the most accurate variant that keeps the budget."""

    async def read(family: Served) -> Request:
        return await _reader(service, family).chat(asked)

    form = ChatForm(asked.model, log_probabilities=bool(asked.logprobs))
    if asked.stream:
        return EventReply(service, read, form, include_usage=asked.include_usage)
    return WholeReply(service, read, form)


@router.post("/v1/completions", response_model=None, responses=_answers(Completion))
async def create_completion(asked: CompletionRequest, service: Serving) -> Response:
    """Continue a prompt, with the most accurate variant that keeps the budget."""

    async def read(family: Served) -> Request:
        return await _reader(service, family).completion(asked)

    form = CompletionForm(asked.model, log_probabilities=asked.logprobs is not None)
    if asked.stream:
        return EventReply(service, read, form, include_usage=asked.include_usage)
    return WholeReply(service, read, form)


def _reader(service: Service, family: Served) -> Reader:
    return Reader(name=service.name, family=family, limits=service.limits, pictures=service.pictures)
