"""What a command line changes in data sets' own settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What a user sets for data sets by name, in place of their own settings."""

    metrics: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    max_new_tokens: int | None = None
    limit: int | None = None
