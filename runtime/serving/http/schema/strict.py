"""What all documents of the HTTP interface share: strict types, no unknown fields."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Taken(BaseModel):
    """A document that clients send."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Given(BaseModel):
    """A document that clients get."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Fields of OpenAI's that change what an answer is and that this server does not have: taken with a neutral value only.
Nothing = Annotated[list[Any], Field(max_length=0)]
NoMapping = Annotated[dict[str, Any], Field(max_length=0)]
Zero = Annotated[float, Field(ge=0, le=0)]
# Fields that only name or tag a request: taken, and without effect.
Tag = Annotated[str, Field(max_length=512)]
