"""The document of every error."""

from pydantic import BaseModel, ConfigDict

from runtime.serving.http.schema.strict import Given


class ErrorFields(BaseModel):
    """OpenAI's four fields; `trimoe` stands beside them where no variant is feasible."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(Given):
    """What every status from 400 on is sent with."""

    error: ErrorFields
