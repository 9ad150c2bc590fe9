"""All checks of evidence together."""

from dataclasses import dataclass

from exporter.evidence.evidence import Importance, Recommendations
from profiles.evidence.checking.really_removed import contradictions
from profiles.evidence.checking.removals import Choice, Disagreement, choices, disagreements, unknown
from profiles.evidence.checking.scores import doubts
from profiles.evidence.checking.sources import Sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found: what each source removes, where they disagree, what contradicts itself, what is doubtful."""

    sources: Sources
    choices: tuple[Choice, ...]
    disagreements: tuple[Disagreement, ...]
    contradictions: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing disagrees and nothing contradicts itself; doubts alone do not count."""
        return not self.disagreements and not self.contradictions


def check_evidence(sources: Sources) -> Checked:
    """Hold the sources against each other. Raises DocumentError for files of configurations of another shape."""
    found = choices(sources)
    return Checked(
        sources=sources,
        choices=found,
        disagreements=disagreements(found, sources.study, sources.protected),
        contradictions=(*contradictions(sources), *_other_files(sources)),
        doubts=(*doubts(sources), *unknown(found)),
    )


def _other_files(sources: Sources) -> list[str]:
    """Files that the family was cut by under the same name, but with other content."""
    if sources.manifest is None:
        return []
    used = {entry.file: entry.sha256 for entry in sources.manifest.choice.evidence}
    given: tuple[Importance | Recommendations, ...] = (*sources.importances, *sources.recommendations)
    return [
        f"{one.path}: not the {one.file} that the family was cut by: that has sha256 {used[one.file]}"
        for one in given
        if used.get(one.file, one.sha256) != one.sha256
    ]
