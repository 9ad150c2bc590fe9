"""What else differs between two measurements that are compared: what may change answers though the variant is the
same."""

from profiles.accuracy.gate.pairs import Subject, scores_of
from runtime.documents.baseline import Baseline


def differences(stored: Baseline, measured: Baseline, subject: Subject, against: Subject) -> tuple[str, ...]:
    """Batch sizes, software and hardware, a note each; nothing for what one of the two does not record."""
    before, now = scores_of(stored, *against), scores_of(measured, *subject)
    sizes = [
        f"{name}: {now[name].decoding.batch_size} samples a batch, the baseline had {one.decoding.batch_size}"
        for name, one in before.items()
        if name in now and one.decoding.batch_size != now[name].decoding.batch_size
    ]
    made = [
        f"{name} {measured.software[name]}, the baseline had {version}"
        for name, version in stored.software.items()
        if name in measured.software and measured.software[name] != version
    ]
    return (*sizes, *made)
