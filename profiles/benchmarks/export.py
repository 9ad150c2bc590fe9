"""Measure an export against `cp` and `sha256sum` of the same bytes: wall time, peak memory, disk space."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.architectures.dimensions import read_dimensions
from exporter.architectures.find import find_architecture
from exporter.checkpoint.checkpoint import open_checkpoint
from runtime.documents.checked_json import Node, read_document
from runtime.engines.memory import available_bytes
from runtime.errors import PlanError, TargetError, TrimoeError

WALL_RATIO_LIMIT = 1.3
PEAK_BYTES_LIMIT = 200_000_000
DISK_RATIO_LIMIT = 1.02
_DEPTHS = 5
# Spread over the depth, so that later blocks stand at several layer indices as in a real family.
_REMOVAL_ORDER = (4, 13, 10, 2)
_BATCH_BYTES = 4 * 10**9
_READ_BYTES = 4 * 1024 * 1024
_TRIMOE = (sys.executable, "-c", "from runtime.cli import main; main()")


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One export and one copy of the same bytes, in seconds; peak resident memory of the export process in bytes."""

    export_s: float
    copy_s: float
    digest_s: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportBench:
    """The rounds for one checkpoint; `unique_bytes` are those of the family's tensors, `disk_bytes` those its folder
    occupies."""

    checkpoint: Path
    source_bytes: int
    unique_bytes: int
    disk_bytes: int
    variants: int
    source_warm: bool
    rounds: tuple[Round, ...]

    @property
    def export_s(self) -> float:
        """The median wall time of the export."""
        return statistics.median(r.export_s for r in self.rounds)

    @property
    def reference_s(self) -> float:
        """The median wall time of cp and sha256sum together."""
        return statistics.median(r.copy_s + r.digest_s for r in self.rounds)

    @property
    def wall_ratio(self) -> float:
        """Export over reference."""
        return self.export_s / self.reference_s

    @property
    def peak_bytes(self) -> int:
        """The largest peak of any round."""
        return max(r.peak_bytes for r in self.rounds)

    @property
    def disk_ratio(self) -> float:
        """Disk space over unique tensor bytes."""
        return self.disk_bytes / self.unique_bytes

    @property
    def within_limits(self) -> bool:
        """Whether all three limits hold."""
        return (
            self.wall_ratio <= WALL_RATIO_LIMIT
            and self.peak_bytes <= PEAK_BYTES_LIMIT
            and self.disk_ratio <= DISK_RATIO_LIMIT
        )


def bench_export(checkpoint: Path, scratch: Path, *, rounds: int, say: Callable[[str], None]) -> ExportBench:
    """Export 5 depths × 3 top_k without logit check, and copy and digest the same files, alternating, `rounds` times.

    The export runs as a process of its own. Its source is read beforehand where half of the free memory holds it; cp's
    source is always read beforehand, and its copies are deleted batch by batch, so what the page cache does is in cp's
    favour. `scratch` must be on the file system to be measured; what is written there is removed. Raises TrimoeError.
    """
    source = open_checkpoint(checkpoint)
    source_bytes = sum(file.size for file in source.files)
    files = tuple(checkpoint / file.name for file in source.files)
    warm = source_bytes <= available_bytes() // 2
    folder = scratch / f".bench-export-{os.getpid()}"
    folder.mkdir(parents=True)
    found = []
    try:
        for number in range(1, rounds + 1):
            if warm:
                read_files(files)
            one, document, disk = _round(checkpoint, folder)
            found.append(one)
            say(
                f"round {number} of {rounds}: export {one.export_s:.1f} s, cp {one.copy_s:.1f} s + sha256sum "
                f"{one.digest_s:.1f} s, peak {one.peak_bytes / 1e6:.0f} MB"
            )
    finally:
        shutil.rmtree(folder)
    return ExportBench(
        checkpoint=checkpoint,
        source_bytes=source_bytes,
        unique_bytes=document.require("tensor_bytes").integer(minimum=1),
        disk_bytes=disk,
        variants=len(document.require("variants").elements()),
        source_warm=warm,
        rounds=tuple(found),
    )


def _round(checkpoint: Path, folder: Path) -> tuple[Round, Node, int]:
    """One export and one copy of its weights in the scratch `folder`: the times, the export's report, and the disk
    space of the family, which is removed."""
    family = folder / "family"
    seconds, peak, document = _run_export(checkpoint, family)
    copy_s, digest_s = _copy_and_digest(sorted((family / "weights").iterdir()), folder / "copy")
    disk = disk_bytes(family)
    shutil.rmtree(family)
    return Round(export_s=seconds, copy_s=copy_s, digest_s=digest_s, peak_bytes=peak), document, disk


def request_options(checkpoint: Path) -> list[str]:
    """The command-line options that ask for 5 depths × 3 top_k of this checkpoint (one top_k for a dense one)."""
    config = open_checkpoint(checkpoint).config
    file = str(checkpoint / "config.json")
    shape = read_dimensions(find_architecture(config, file=file), config, file=file)
    order = [block for block in (*_REMOVAL_ORDER, *range(1, shape.blocks)) if block < shape.blocks]
    order = list(dict.fromkeys(order))[: _DEPTHS - 1]
    if len(order) < _DEPTHS - 1:
        raise PlanError(f"{checkpoint}: {shape.blocks} blocks are too few for {_DEPTHS} depths")
    options = ["--blocks", f"{shape.blocks - len(order)}-{shape.blocks}"]
    for count in range(1, len(order) + 1):
        options += ["--remove", ",".join(map(str, sorted(order[:count])))]
    if shape.top_k is not None:
        options += [
            "--top-k",
            ",".join(
                map(str, sorted({shape.top_k, max(1, shape.top_k * 3 // 4), max(1, shape.top_k // 2)}, reverse=True))
            ),
        ]
    return options


def _run_export(checkpoint: Path, family: Path) -> tuple[float, int, Node]:
    arguments = [
        *_TRIMOE,
        "export",
        str(checkpoint),
        "--out",
        str(family),
        "--no-logits",
        "--json",
        *request_options(checkpoint),
    ]
    output = family.with_suffix(".json")
    # Its messages go to a file: a pipe that is read after the end would fill up and stop the export for ever.
    with output.open("wb") as stream, tempfile.TemporaryFile() as messages:
        began = time.monotonic()
        # The peak that wait4 reports is at least this process's own memory, so nothing large may be imported here.
        process = subprocess.Popen(arguments, stdout=stream, stderr=messages)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:  # interrupted while it ran
                process.kill()
                process.wait()
        messages.seek(0)
        message = messages.read()
    if process.returncode != 0:
        raise TrimoeError(
            f"the export failed with status {process.returncode}: {message.decode('utf-8', 'replace').strip()}"
        )
    return seconds, usage.ru_maxrss * 1024, read_document(output)


def _copy_and_digest(files: Sequence[Path], folder: Path) -> tuple[float, float]:
    copy_s = digest_s = 0.0
    for batch in batches(files):
        read_files(batch)
        folder.mkdir()
        copy_s += _timed(["cp", *map(str, batch), str(folder)])
        digest_s += _timed(["sha256sum", *(str(folder / path.name) for path in batch)])
        shutil.rmtree(folder)
    return copy_s, digest_s


def batches(files: Iterable[Path]) -> Iterator[list[Path]]:
    """The files in batches of at most 4 GB (or one file), so that a copy never needs much room."""
    batch: list[Path] = []
    filled = 0
    for path in files:
        size = path.stat().st_size
        if batch and filled + size > _BATCH_BYTES:
            yield batch
            batch, filled = [], 0
        batch.append(path)
        filled += size
    if batch:
        yield batch


def _timed(arguments: Sequence[str]) -> float:
    began = time.monotonic()
    done = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise TargetError(f"{arguments[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()}")
    return time.monotonic() - began


def read_files(paths: Iterable[Path]) -> None:
    """Read files whole, so that the page cache holds them if it can."""
    buffer = bytearray(_READ_BYTES)
    for path in paths:
        with path.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def disk_bytes(folder: Path) -> int:
    """The disk space of a folder, each inode counted once."""
    blocks = {(s.st_dev, s.st_ino): s.st_blocks for path in (folder, *folder.rglob("*")) for s in (path.lstat(),)}
    return sum(blocks.values()) * 512
