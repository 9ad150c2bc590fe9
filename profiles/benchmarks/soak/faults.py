"""Faults from outside: families that are changed for others while the server runs, and copies of them that are
damaged."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from profiles.benchmarks.soak.good import GoodClient, SoakError, engine_failed
from profiles.benchmarks.soak.server_process import ServerProcess
from profiles.benchmarks.soak.wire import exchange, head, json_request
from runtime.documents.family_layout import graph_data_path, graph_path

SWAP_S = 60.0


class Swaps:
    """The family behind a link that the server was given, whole or damaged."""

    def __init__(self, server: ServerProcess, link: Path, whole: Path, damaged: Path) -> None:
        """`link` points to `whole` now."""
        self._server, self._link, self._whole, self._damaged = server, link, whole, damaged

    def signal(self) -> None:
        """SIGHUP: the family is loaded again. Raises SoakError unless it is."""
        self._changed("done", self._server.hang_up)

    def endpoint(self) -> None:
        """The same by the endpoint. Raises SoakError."""
        reply = exchange(self._server.port, [json_request("/admin/family", {})])
        if reply.status != 200:
            raise SoakError(f"the family was not changed: status {reply.status}: {reply.body[:200]!r}")

    def damaged(self) -> None:
        """SIGHUP while the files are damaged: the old family stays. Raises SoakError unless that is said."""
        point(self._link, self._damaged)
        try:
            self._changed("failed", self._server.hang_up)
        finally:
            point(self._link, self._whole)

    def _changed(self, outcome: str, change: Callable[[], None]) -> None:
        before = self._count(outcome)
        change()
        until = time.monotonic() + SWAP_S
        while self._count(outcome) == before:
            if time.monotonic() > until:
                raise SoakError(f"a change of the family was not {outcome} within {SWAP_S:g} s")
            time.sleep(0.1)

    def _count(self, outcome: str) -> float:
        reply = exchange(self._server.port, [head("/metrics", method="GET")])
        name = f'trimoe_family_swaps_total{{outcome="{outcome}"}} '
        lines = reply.body.decode().splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def point(link: Path, folder: Path) -> None:
    """Let `link` lead to `folder`, without a moment in which it leads nowhere."""
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(folder.absolute(), target_is_directory=True)
    new.replace(link)


def damaged_copy(family: Path, folder: Path, dtype: str) -> Path:
    """A copy of which a byte of the weights is another one."""
    return _damaged(family, folder, graph_data_path(dtype))


def broken_variant_copy(family: Path, folder: Path, dtype: str, variant: str) -> Path:
    """A copy of which a byte of one variant's graph is another one."""
    return _damaged(family, folder, graph_path(dtype, variant))


def check_broken_variant(client: GoodClient, broken: str, others: tuple[str, ...]) -> None:
    """Raises SoakError unless the broken variant is refused as declared, and the others answer right before and
    after."""
    for other in others:
        client.check_pinned(other)
        reply = client.pinned(broken)
        if not engine_failed(reply):
            raise SoakError(f"{broken} is broken, but: status {reply.status}: {reply.body[:200]!r}")
        client.check_pinned(other)


def _damaged(family: Path, folder: Path, path: str) -> Path:
    shutil.copytree(family, folder)
    content = bytearray((folder / path).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / path).unlink()  # not the file that a link would share
    (folder / path).write_bytes(content)
    return folder
