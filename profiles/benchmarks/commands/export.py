"""`python -m profiles.benchmarks export`: what an export costs, against cp and sha256sum of the same bytes."""

from dataclasses import asdict
from pathlib import Path

import click

from profiles.benchmarks.export import DISK_RATIO_LIMIT, PEAK_BYTES_LIMIT, WALL_RATIO_LIMIT, ExportBench
from profiles.benchmarks.export import bench_export as measure
from runtime.documents.checked_json import dump_document


@click.command("export", short_help="An export against cp and sha256sum.")
@click.argument("checkpoints", metavar="CHECKPOINT...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder on the disk to measure; needs 3 to 6 times the checkpoint.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Exports and copies, alternating; the median counts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_export(checkpoints: tuple[Path, ...], scratch: Path, rounds: int, as_json: bool) -> None:
    """Measure the export of each CHECKPOINT (5 depths × 3 top_k, no logit check) against cp + sha256sum of the same
    unique bytes.

    Exits with 1 when a limit is exceeded: wall time 1.3 times, peak memory 200 MB, disk 1.02 times the unique tensor
    bytes.
    """
    found = [
        measure(checkpoint, scratch, rounds=rounds, say=lambda line: click.echo(line, err=True))
        for checkpoint in checkpoints
    ]
    if as_json:
        click.echo(dump_document([_document(bench) for bench in found]).decode(), nl=False)
    else:
        click.echo("\n\n".join(_table(bench) for bench in found))
    if not all(bench.within_limits for bench in found):
        click.get_current_context().exit(1)


def _table(bench: ExportBench) -> str:
    cache = "in the page cache" if bench.source_warm else "larger than half the memory, not read beforehand"
    unique = bench.unique_bytes / 1e9
    return "\n".join(
        (
            f"{bench.checkpoint}: {bench.source_bytes / 1e9:.2f} GB, {cache}",
            f"{bench.variants} variants, {unique:.2f} GB unique tensor bytes, median of {len(bench.rounds)} rounds",
            "",
            f"{'wall':<14}{bench.export_s:8.1f} s  against {bench.reference_s:8.1f} s   "
            f"{_verdict(bench.wall_ratio, WALL_RATIO_LIMIT)}",
            f"{'peak memory':<14}{bench.peak_bytes / 1e6:8.0f} MB "
            f"{'':24}{_verdict(bench.peak_bytes / 1e6, PEAK_BYTES_LIMIT / 1e6)}",
            f"{'disk':<14}{bench.disk_bytes / 1e9:8.2f} GB against {unique:8.2f} GB  "
            f"{_verdict(bench.disk_ratio, DISK_RATIO_LIMIT)}",
        )
    )


def _verdict(value: float, limit: float) -> str:
    shown = f"{value:.3f}" if limit < 10 else f"{value:.0f}"
    return f"{shown:>6}  (limit {limit:g}: {'kept' if value <= limit else 'EXCEEDED'})"


def _document(bench: ExportBench) -> dict[str, object]:
    return {
        "checkpoint": str(bench.checkpoint),
        "source_bytes": bench.source_bytes,
        "source_warm": bench.source_warm,
        "variants": bench.variants,
        "unique_bytes": bench.unique_bytes,
        "disk_bytes": bench.disk_bytes,
        "rounds": [asdict(r) for r in bench.rounds],
        "export_s": bench.export_s,
        "reference_s": bench.reference_s,
        "wall_ratio": bench.wall_ratio,
        "peak_bytes": bench.peak_bytes,
        "disk_ratio": bench.disk_ratio,
        "within_limits": bench.within_limits,
    }
