"""The page at /."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from runtime.serving.http.routes.declared import WITHOUT_BODY, errors

router = APIRouter(tags=["page"], responses=errors(*WITHOUT_BODY))


@router.get("/", response_class=HTMLResponse)
async def show_page() -> HTMLResponse:
    """A map of the family, what would be chosen, and a prompt to try."""
    html = _html()
    return HTMLResponse(html, headers={"content-security-policy": content_security_policy(html)})


def content_security_policy(html: str) -> str:
    """Lets the page run its own scripts and styles, told by their digests, and reach its own server; nothing else."""
    scripts, styles = (_digests(html, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _html() -> str:
    return (files("runtime.serving.http.page") / "index.html").read_text("utf-8")


def _digests(html: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found)
