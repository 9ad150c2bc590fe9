"""Which of two candidates is the better one, and by what."""

from runtime.selection.candidate import Candidate

Key = tuple[float, bool, int, float, int, str, str]


def key(candidate: Candidate) -> Key:
    """Sorts candidates, the best first: by accuracy, a known one before none, a measured one before the evidence's;
    where it is not measured by the active parameters, because the evidence says nothing of experts per token and the
    one that keeps more of the source loses less; then by predicted milliseconds, bytes, id and type."""
    accuracy, predicted = candidate.accuracy, candidate.predicted_ms
    measured = accuracy is not None and accuracy.measured
    return (
        2.0 if accuracy is None else -accuracy.score,
        not measured,
        0 if measured else -candidate.active_parameters,
        float("inf") if predicted is None else predicted,
        candidate.bytes,
        candidate.variant,
        candidate.dtype,
    )
