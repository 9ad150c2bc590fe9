"""A joint search over blocks and experts per token on several data sets, kept as it goes, and its document."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from profiles.evidence.measuring.exam import Exam, Progress
from profiles.evidence.running.cut import WHOLE, Cut
from profiles.evidence.searching.costs import Costs
from profiles.evidence.searching.joint_document import JointSearch, MeasuredCut, dump_joint_search
from profiles.evidence.searching.joint_search import frontier, joint_search
from runtime.documents.atomic_file import write_atomically

JOINT = "joint_search.json"


def search_jointly(
    exams: Sequence[Exam], costs: Costs, out: Path, progress: Progress, *, most_removed: int, rounds: int, each: int
) -> JointSearch:
    """Search, measuring every cut on every exam, and write `joint_search.json` into `out`. What was measured stays in
    the exams' journals, so that a run that was killed carries on."""
    measured: dict[Cut, tuple[float, ...]] = {}

    def drops(cuts: Sequence[Cut]) -> list[float]:
        by_exam = [exam.measure([WHOLE, *cuts], progress) for exam in exams]
        measured.update({cut: tuple(found[cut] for found in by_exam) for cut in (WHOLE, *cuts)})
        return [_drop(measured, cut) for cut in cuts]

    tried = joint_search(drops, costs, most_removed=most_removed, rounds=rounds, each=each)
    best = {one.cut for one in frontier(tried)}
    names = [exam.name for exam in exams]
    found = JointSearch(
        model=exams[0].model_digest,
        blocks=len(costs.blocks),
        cost_unit=costs.unit,
        splits={exam.name: exam.split for exam in exams},
        metrics={exam.name: exam.metric for exam in exams},
        samples={exam.name: exam.count for exam in exams},
        baselines=dict(zip(names, measured[WHOLE], strict=True)),
        cuts=tuple(
            MeasuredCut(
                removed=one.cut.removed,
                top_k=one.cut.top_k,
                cost=one.cost,
                accuracies=dict(zip(names, measured[one.cut], strict=True)),
                drop=one.drop,
                on_frontier=one.cut in best,
            )
            for one in tried
        ),
    )
    write_atomically(out / JOINT, dump_joint_search(found))
    return found


def _drop(measured: dict[Cut, tuple[float, ...]], cut: Cut) -> float:
    return fmean(whole - left for whole, left in zip(measured[WHOLE], measured[cut], strict=True))
