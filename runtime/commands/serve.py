"""`trimoe serve`: answer requests over HTTP, each with the variant that fits its latency budget."""

import json
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.commands.option_group import option_group
from runtime.commands.prepared_option import prepared_option
from runtime.documents.baseline import ENGINES, ONNX
from runtime.engines.prepared.forms import PreparedForms
from runtime.serving.http.limits import Limits
from runtime.text.counted import counted

if TYPE_CHECKING:
    from runtime.serving.family import Family
    from runtime.serving.http.listening.serve_family import Access, Opening

# A grey square of 32 × 32 pixels, for a request that can be sent as it stands.
GREY_SQUARE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAFklEQVR42m"
    "NoIAAYRhWMKhhVMFIVAABCAAAfN5c2AAAAAABJRU5ErkJggg=="
)
PREFIX_MB = 0  # what is kept costs prompts that come together: they are then read one by one
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_LIMITS = Limits()
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpeningOptions:
    """What is served, and by what."""

    engine: str
    device: str | None
    dtypes: tuple[str, ...]
    threads: int | None
    prefix_mb: int
    estimators: tuple[Path, ...]
    baseline: Path | None
    elastic: Path | None
    preload: bool
    trust: bool
    prepared: PreparedForms | None
    decision_log: Path | None
    log_prompts: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessOptions:
    """Who may ask, and how much."""

    api_keys: Path | None
    admin_keys: Path | None
    image_hosts: tuple[str, ...]
    max_requests: int
    max_prompt_tokens: int
    max_output_tokens: int
    max_body_bytes: int
    max_image_pixels: int
    max_queue_s: float
    max_answer_s: float
    drain_s: float


opening_options = option_group(
    "opening",
    OpeningOptions,
    click.option(
        "--engine", type=click.Choice(ENGINES), default=ONNX, show_default=True, help="What runs the variants."
    ),
    click.option("--device", help="cpu or cuda:N.  [default: the engine's own]"),
    click.option("--dtype", "dtypes", multiple=True, help="Types of weights to serve. Repeatable.  [default: all]"),
    click.option("--threads", type=click.IntRange(1), help="Threads of the engine.  [default: one for each core]"),
    click.option(
        "--prefix-mb",
        type=click.IntRange(0),
        default=PREFIX_MB,
        show_default=True,
        help="MB that keep what prompts left, for those that begin alike (ONNX engine on the CPU). 0: none.",
    ),
    click.option(
        "--estimator",
        "estimators",
        type=FILE,
        multiple=True,
        help="From `trimoe fit`, one a type of weights. Repeatable.",
    ),
    click.option("--baseline", type=FILE, help="From `trimoe eval`.  [default: accuracies of the evidence]"),
    click.option(
        "--elastic",
        type=FILE,
        help="From `trimoe fit-accuracy`: variants of the family's blocks that were never exported may answer too.",
    ),
    click.option(
        "--preload/--no-preload",
        default=True,
        show_default=True,
        help="Load and test every variant before the first request, else each before its own first.",
    ),
    click.option(
        "--trust",
        is_flag=True,
        help="Skip checks of variants that passed on this machine before; records are among the user's caches.",
    ),
    prepared_option,
    click.option(
        "--decision-log", type=click.Path(path_type=Path), help="Write decisions to this file, for `trimoe replay`."
    ),
    click.option("--log-prompts", is_flag=True, help="Write texts of prompts to the decision log too."),
)
access_options = option_group(
    "access",
    AccessOptions,
    click.option("--api-keys", type=FILE, help="File of keys, one a line; requests must show one."),
    click.option("--admin-keys", type=FILE, help="File of keys for changing the family over HTTP."),
    click.option(
        "--allow-image-host", "image_hosts", multiple=True, help="Host from which pictures may be fetched. Repeatable."
    ),
    click.option(
        "--max-requests", type=click.IntRange(1), default=_LIMITS.requests, show_default=True, help="In progress."
    ),
    click.option(
        "--max-prompt-tokens",
        type=click.IntRange(1),
        default=_LIMITS.prompt_tokens,
        show_default=True,
        help="Of a text.",
    ),
    click.option(
        "--max-output-tokens",
        type=click.IntRange(1),
        default=_LIMITS.output_tokens,
        show_default=True,
        help="Of an answer.",
    ),
    click.option(
        "--max-body-bytes", type=click.IntRange(1), default=_LIMITS.body_bytes, show_default=True, help="Of a request."
    ),
    click.option(
        "--max-image-pixels",
        type=click.IntRange(1),
        default=_LIMITS.image_pixels,
        show_default=True,
        help="Of a picture.",
    ),
    click.option(
        "--max-queue-s",
        type=click.FloatRange(0, min_open=True),
        default=_LIMITS.queue_s,
        show_default=True,
        help="Until the first token.",
    ),
    click.option(
        "--max-answer-s",
        type=click.FloatRange(0, min_open=True),
        default=_LIMITS.answer_s,
        show_default=True,
        help="Until the last token.",
    ),
    click.option(
        "--drain-s",
        type=click.FloatRange(0, min_open=True),
        default=_LIMITS.drain_s,
        show_default=True,
        help="For requests in progress when the server is told to stop.",
    ),
)


@click.command()
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option("-v", "--verbose", is_flag=True, help="Log a line for each request too.")
@opening_options
@access_options
def serve(family: Path, host: str, port: int, verbose: bool, opening: OpeningOptions, access: AccessOptions) -> None:
    """Serve FAMILY over HTTP, as OpenAI's clients expect it: /v1/chat/completions, /v1/completions, /v1/models.

    A page to look at and try is at /. SIGTERM stops it when what it has begun is done; SIGHUP loads the folder again
    beside what is served, and changes to it. The log is JSON lines on stderr.
    """
    with needed_packages("trimoe serve", extras="cpu,serve"):
        from runtime.serving.http.listening.serve_family import serve_family
        from runtime.serving.http.observing.json_log import JsonLines
        from runtime.serving.http.served import Files
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("runtime.serving.http.reloading").setLevel(logging.INFO)  # whoever sends a signal wants to know
    if access.api_keys is None and host not in _LOOPBACK:
        click.echo(f"Note: without --api-keys whoever reaches {host} may ask.", err=True)
    budget = bool(opening.estimators)
    serve_family(
        Files(path=family, estimators=opening.estimators, baseline=opening.baseline),
        _opening(opening),
        _access(access),
        host=host,
        port=port,
        ready=lambda address, served: click.echo(_greeting(address, family.absolute().name, served, budget=budget)),
    )


def _opening(options: OpeningOptions) -> "Opening":
    from runtime.engines.trust import CheckRecords
    from runtime.serving.decisions.log_file import LogFile
    from runtime.serving.elastic import Elastic
    from runtime.serving.family_settings import FamilySettings
    from runtime.serving.http.listening.serve_family import Opening

    return Opening(
        engine=options.engine,
        device=options.device,
        dtypes=options.dtypes or None,
        preload=options.preload,
        settings=FamilySettings(
            threads=options.threads,
            records=CheckRecords() if options.trust else None,
            prefix_bytes=options.prefix_mb * 1_000_000,
            elastic=None if options.elastic is None else Elastic(model=options.elastic),
            prepared=options.prepared,
            log=None if options.decision_log is None else LogFile(options.decision_log),
            log_prompts=options.log_prompts,
        ),
    )


def _access(options: AccessOptions) -> "Access":
    from runtime.serving.http.api_keys import ApiKeys, read_keys
    from runtime.serving.http.listening.serve_family import Access

    return Access(
        limits=Limits(
            requests=options.max_requests,
            prompt_tokens=options.max_prompt_tokens,
            output_tokens=options.max_output_tokens,
            body_bytes=options.max_body_bytes,
            image_pixels=options.max_image_pixels,
            queue_s=options.max_queue_s,
            answer_s=options.max_answer_s,
            drain_s=options.drain_s,
        ),
        keys=ApiKeys() if options.api_keys is None else read_keys(options.api_keys),
        admin_keys=ApiKeys() if options.admin_keys is None else read_keys(options.admin_keys),
        image_hosts=frozenset(options.image_hosts),
    )


def _greeting(address: str, name: str, family: "Family", *, budget: bool) -> str:
    """Where to look, what is there, and what to type."""
    question: object = "Read the number."
    if family.reads_images:
        question = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": GREY_SQUARE}}]
    wish = {"latency_budget_ms": 500, "max_tokens": 16} if budget else {}
    body = json.dumps({"model": name, **wish, "messages": [{"role": "user", "content": question}]}, ensure_ascii=False)
    variants = [variant.id for variant in family.manifest.variants]
    return "\n".join(
        (
            f"Serving {name}, {counted(len(variants), 'variant')} in {', '.join(family.dtypes)}, at {address}",
            f"  {', '.join(variants)}",
            f"Page: {address}/",
            f"curl {address}/v1/chat/completions -H 'content-type: application/json' -d {shlex.quote(body)}",
            *(("(its picture is a grey square: put the base64 of yours there)",) if family.reads_images else ()),
        )
    )
