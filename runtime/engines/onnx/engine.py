"""The ONNX engine: a family's graphs run by ONNX Runtime, without torch. Sessions map the same files, so that further
variants take little more memory than one."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime

from runtime.documents.family_files import FamilyFiles
from runtime.documents.family_layout import (
    GRAPH_INPUTS,
    GRAPHS,
    composed_files,
    graph_files,
    graph_folder,
    graph_golden_path,
    graph_path,
)
from runtime.documents.graph_contract import CPU, CUDA, INPUT_IDS, PACKED, PROVIDERS
from runtime.documents.manifest import Manifest, VariantRecord
from runtime.engines.memory import give_back
from runtime.engines.mixed_batch import MixedBatch, run_in_turn
from runtime.engines.onnx.composing.arrangement import bounds
from runtime.engines.onnx.composing.block_graphs import BlockGraphs, Composition
from runtime.engines.onnx.composing.composed import ComposedDecoder
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.key_values import KeyValues
from runtime.engines.onnx.packing.prepare import open_prepared
from runtime.engines.onnx.rows import Rows, part_count
from runtime.engines.onnx.self_test import composed_self_test, self_test
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.variant_graphs import Member, SharedSessions, VariantGraphs
from runtime.engines.onnx.workers import Workers
from runtime.engines.padding import group_by_variant
from runtime.engines.prefixes import Prefixes
from runtime.engines.prepared.prepared import Prepared
from runtime.engines.protocol import NO_CLOCK, Prompt, StageClock
from runtime.engines.settings import DEFAULTS, EngineSettings
from runtime.engines.trust import Checks
from runtime.errors import DocumentError, VerificationError

_log = logging.getLogger(__name__)


class OnnxEngine:
    """The variants of the family (or standalone copy) in `folder`, in one type of weights on one provider.

    On the CPU a batch runs in parts side by side, each with its share of the threads: the kernels for a few thousand
    small matrices gain little from more threads within one run. Where several variants are loaded, and the family has
    graphs of blocks, sequences of different variants run together what they have in common. Elsewhere each part is of
    one variant, batches that join are run in turn, and rows that are dropped run on until their batch is over.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        settings: EngineSettings = DEFAULTS,
    ) -> None:
        """Load no variant yet; packed weights are made where they are wanted and missing. Raises DocumentError when the
        family has no graphs in that type, naming those it has, and for a type that does not run on the provider."""
        self._folder, self._manifest, self._dtype = folder, manifest, settings.dtype
        self._provider = CUDA if (settings.device or "").startswith("cuda") else CPU
        if self._provider not in PROVIDERS.get(self._dtype, (self._provider,)):
            there = " and ".join(PROVIDERS[self._dtype])
            raise DocumentError(f"{folder}: ONNX graphs in {self._dtype} run on {there}, not on {self._provider}")
        self._place = FamilyFiles(folder).place
        self._threads = settings.threads or os.cpu_count() or 1
        self._prefixes = Prefixes(settings.prefix_bytes) if settings.prefix_bytes and self._provider == CPU else None
        self._shared = SharedSessions(self._place(graph_folder(self._dtype)), provider=self._provider)
        self._blocks = BlockGraphs(self._place(graph_folder(self._dtype)), self._open_graph)
        self._members = {one.id: self._exported(one) for one in manifest.variants}
        self._compositions: dict[str, Composition] = {}  # of variants that were never exported
        self._composing = Lock()
        self._graphs: dict[str, VariantGraphs] = {}
        self._loading: dict[str, Lock] = {}
        self._workers = Workers(self._threads)
        self._shared_tested = False
        if not self._place(graph_folder(self._dtype)).is_dir():
            found = sorted(path.name for path in self._place(GRAPHS).glob("*") if path.is_dir())
            raise DocumentError(
                f"{folder}: no ONNX graphs in {self._dtype}; the family has "
                f"{', '.join(found) or 'none: export with --format safetensors,onnx'}"
            )
        forms = settings.prepared if self._provider == CPU else None
        self._prepared: Prepared | None = open_prepared(forms, folder, manifest, self._dtype, settings.records)
        self._checks = Checks(folder, manifest, software=self.software, records=settings.records)

    @property
    def software(self) -> Mapping[str, str]:
        """The version of ONNX Runtime, the provider and its threads, and whose packed weights it runs on, where the
        type needs them."""
        packer = "each session" if self._prepared is None else "the prepared form"
        return {
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime provider": self._provider,
            "onnxruntime threads": str(self._threads),
            **({"onnxruntime weights packed by": packer} if self._dtype in PACKED else {}),
        }

    @property
    def shares_weights(self) -> bool:
        """See Engine."""
        return self._prepared is not None or self._dtype not in PACKED

    def load(self, variant: str) -> str:
        """See Engine. Variants exported without golden outputs run untested, with a warning. Others run, and load,
        meanwhile."""
        self._loaded(variant)
        return self._dtype

    def prefill(self, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock = NO_CLOCK) -> MixedBatch:
        """See Engine."""
        groups = group_by_variant(prompts)
        graphs = {variant: self._loaded(variant) for variant in groups}

        def started(places: Sequence[int], *, threads: int, place: int = 0) -> tuple[Sequence[int], Rows]:
            chosen = [prompts[place] for place in places]
            own = graphs[chosen[0].variant]
            room = np.asarray([len(prompt.arrays[INPUT_IDS]) + max_new_tokens for prompt in chosen], np.int64)
            keys = KeyValues(own.sizes(self._manifest.source.blocks), room, own.layers)
            rows = partial(Rows, own, chosen, keys=keys, clock=clock, prefixes=self._prefixes)
            return places, rows(threads=threads, place=place)

        parts = [started(places, threads=self._threads) for places in groups.values()]
        if self._provider != CPU:
            return MixedBatch(parts, partial(run_in_turn, threads=self._threads))
        cut = [one for places in groups.values() for one in self._cut(places, len(groups))]
        apart = partial(_apart, started, cut, threads=max(1, self._threads // len(cut)))
        return MixedBatch(parts, self._workers.run, apart if len(cut) > 1 else None)

    def compose(self, variant: str, *, layers: Sequence[int], top_k: Sequence[int] | None) -> None:
        """Let prompts name a variant that was never exported: the source blocks `layers`, with `top_k` experts per
        token at each. Raises DocumentError where another variant has that id, and naming the block graphs that the
        family does not have; VerificationError where their files are damaged."""
        if variant in self._members:
            raise DocumentError(f"there is a variant {variant!r} already; a composed one needs another id")
        if self._provider != CPU:
            raise DocumentError(f"variants are composed on {CPU}, this engine runs on {self._provider}")
        composition = self._blocks.composition(layers, top_k)
        self._checks.run(composed_files(self._dtype, variant, composition.values()), lambda: None)
        self._compositions[variant] = composition
        self._members[variant] = Member(variant=variant, layers=tuple(layers), graph=None)

    def unload(self, variant: str) -> None:
        """Drop the sessions of a variant, when no sequence uses them any more."""
        self._graphs.pop(variant, None)
        self._blocks.keep([one.composition for one in self._graphs.values() if one.composition is not None])
        if self._prefixes is not None:
            self._prefixes.forget(variant)

    def close(self) -> None:
        """Drop all sessions."""
        self._graphs.clear()
        self._blocks.keep(())
        self._workers.close()

    def _cut(self, places: Sequence[int], groups: int) -> list[tuple[int, Sequence[int]]]:
        """The places of one of the `groups` of variants in parts, numbered."""
        cut = bounds(len(places), part_count(len(places), self._threads // groups))
        return [(part, places[first:last]) for part, (first, last) in enumerate(pairwise(cut))]

    def _loaded(self, variant: str) -> VariantGraphs:
        """The variant's graphs, tested when they are opened. Only who waits for the same variant waits."""
        found = self._graphs.get(variant)
        if found is None:
            known = self._member(variant)
            with self._loading.setdefault(variant, Lock()):
                found = self._graphs.get(variant) or self._opened(known)
                self._graphs[variant] = found
            self._compose_loaded()
            give_back()  # what sessions packed and dropped, where the prepared form had it
        return found

    def _member(self, variant: str) -> Member:
        """The variant of that id. Raises DocumentError naming those of the family."""
        return self._members.get(variant) or self._exported(self._manifest.variant(variant))

    def _exported(self, variant: VariantRecord) -> Member:
        graph = self._place(graph_path(self._dtype, variant.id))
        return Member(variant=variant.id, layers=variant.layers, graph=graph)

    def _opened(self, member: Member) -> VariantGraphs:
        """The variant's graphs, when their files and they themselves have passed what `records` do not say: on prepared
        weights, or without where these fail."""
        form = self._form
        try:
            return self._opened_on(form, member)
        except VerificationError as error:
            if not form:
                raise
            self._drop_prepared(member.variant, error)
            return self._opened_on(self._form, member)

    def _opened_on(self, form: str, member: Member) -> VariantGraphs:
        run = partial(VariantGraphs, member, self._shared, self._blocks, open_graph=self._open_graph)
        composition = self._compositions.get(member.variant)
        opened = cache(partial(run, threads=self._threads, movable=self._provider == CPU, composition=composition))

        def test(graph: Path) -> None:
            self._self_test(graph, opened())
            if form != self._form:
                raise VerificationError("not all of its sessions are on the prepared form")

        if member.graph is not None:
            self._checks.run(graph_files(self._dtype, member.variant), partial(test, member.graph), form=form)
        return opened()

    @property
    def _form(self) -> str:
        """What tells the weights that sessions open on from others."""
        return "" if self._prepared is None else self._prepared.document.weights.sha256

    def _open_graph(self, path: Path, threads: int) -> onnxruntime.InferenceSession:
        """A session on a graph, on prepared weights or where these cannot be opened without. Raises
        VerificationError."""
        # Sessions take turns: idle threads of one that burn time would take it from the next.
        run = partial(open_session, provider=self._provider, threads=threads, spinning=False)
        packed, prepared = self._dtype in PACKED, self._prepared
        if prepared is not None:
            try:
                return run(prepared.graph(path), data_folder=prepared.folder, packed=packed)
            except VerificationError as error:
                self._drop_prepared(path.stem, error)
        return run(path, packed=packed)

    def _drop_prepared(self, name: str, error: VerificationError) -> None:
        """Go on without: sessions that are open on it stay."""
        _log.warning("%s: %s and what is opened later run without its prepared form: %s", self._folder, name, error)
        self._prepared = None

    def _compose_loaded(self) -> None:
        """Let the loaded variants run together, where there are several: each is composed of graphs of blocks besides,
        when these have passed what its whole graph has."""
        with self._composing:
            loaded = list(self._graphs.values())
            if self._provider != CPU or len(loaded) < 2 or not self._blocks.there:
                return
            for graphs in loaded:
                if graphs.composition is None:
                    record = self._manifest.variant(graphs.variant)
                    graphs.composition = self._composed(record, self._blocks.composition(record.layers, record.top_k))

    def _composed(self, variant: VariantRecord, composition: Composition) -> Composition:
        golden, inputs = (self._place(graph_golden_path(self._dtype, name)) for name in (variant.id, GRAPH_INPUTS))

        def test() -> None:
            if golden.is_file():
                decoder = ComposedDecoder(self._blocks, [composition], threads=1)
                composed_self_test(self._blocks.folder, golden, inputs, decoder=decoder)

        self._checks.run(composed_files(self._dtype, variant.id, composition.values()), test, form=self._form)
        return composition

    def _self_test(self, graph: Path, graphs: VariantGraphs) -> None:
        golden, inputs = (self._place(graph_golden_path(self._dtype, name)) for name in (graph.stem, GRAPH_INPUTS))
        if not golden.is_file():
            _log.warning(
                "%s: no golden outputs, so its ONNX graphs run without a self-test: it was exported with --no-logits",
                self._folder,
            )
            return
        first = not self._shared_tested
        self_test(
            graph,
            golden,
            inputs,
            provider=self._provider,
            threads=self._threads,
            decoder=graphs.whole if isinstance(graphs.whole, OnnxDecoder) else None,
            shared=first,
        )
        self._shared_tested = True


def _apart(
    started: Callable[..., tuple[Sequence[int], Rows]], cut: Sequence[tuple[int, Sequence[int]]], *, threads: int
) -> Sequence[tuple[Sequence[int], MixedBatch]]:
    """The parts of a batch, each as a batch that runs in the thread that calls it."""
    found = (started(places, threads=threads, place=part) for part, places in cut)
    run = partial(run_in_turn, threads=threads)
    return [(places, MixedBatch([(range(len(places)), rows)], run)) for places, rows in found]
