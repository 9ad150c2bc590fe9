"""One manifest and one baseline that hold together, and any: for tests of what is written, read back and broken."""

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.documents.baseline import (
    ENGINES,
    Baseline,
    DatasetRecord,
    DecodingRecord,
    DefinitionRecord,
    FamilyRecord,
    IntervalRecord,
    ResultsRecord,
    ScoreRecord,
)
from runtime.documents.check import Check
from runtime.documents.manifest import (
    ChoiceRecord,
    DropRecord,
    EvidenceEntry,
    FileRecord,
    Manifest,
    SourceRecord,
    VariantRecord,
)
from runtime.documents.tensor_digests import ShardDigests, TensorDigest

SCORE = ScoreRecord(
    variant="b14-k4",
    engine="torch",
    dtype="float32",
    dataset=DatasetRecord(name="okvqa", task="vqa", samples=2, digest="d" * 64),
    definition=DefinitionRecord(metric="vqa_score/molmo", meaning="min(matches / 3, 1)", cleanup="cleanup/molmo"),
    decoding=DecodingRecord(prompt="{question}", strategy="greedy", max_new_tokens=12, batch_size=32),
    score=0.5,
    interval=IntervalRecord(level=0.95, low=0.25, high=0.75, resamples=1000, seed=0),
    results=ResultsRecord(path="results/a.jsonl", size=10, sha256="e" * 64),
)


BASELINE = Baseline(
    trimoe="0.1.0",
    family=FamilyRecord(name="demo", digest="a" * 64, source_digest="b" * 64),
    software={"python": "3.11.2", "torch": "2.13.0"},
    scores=(SCORE, replace(SCORE, engine="onnx")),
)


DIGEST = "0" * 64


MANIFEST = Manifest(
    trimoe="0.1.0",
    source=SourceRecord(
        name="demo", architecture="molmoe", digest=DIGEST, blocks=3, experts=8, top_k=4, synthetic=False
    ),
    choice=ChoiceRecord(
        strategy="importance",
        protected=(0,),
        evidence=(EvidenceEntry(role="chosen", kind="importance", file="scores.json", sha256=DIGEST),),
        notes=("a note",),
    ),
    variants=(
        VariantRecord(
            id="b2-k2",
            folder="variants/b2-k2",
            layers=(0, 2),
            removed=(1,),
            top_k=(4, 2),
            drop=DropRecord(mean=0.01, std=0.002, datasets=("a", "b")),
            parameters=10,
            active_parameters=5,
            bytes=40,
            shared_bytes=0,
            golden="golden/b2-k2.safetensors",
            checks=(Check(name="structure", outcome="passed", detail="3 tensors"),),
        ),
    ),
    files=(
        FileRecord(path="golden/b2-k2.safetensors", size=1, sha256=DIGEST, link_of=None),
        FileRecord(path="weights/a", size=1, sha256=DIGEST, link_of=None),
        FileRecord(path="variants/b2-k2/a", size=1, sha256=DIGEST, link_of="weights/a"),
    ),
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SHA256S = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,6}\Z")
SEGMENTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=5)
PATHS = st.lists(SEGMENTS.filter(lambda s: s not in (".", "..")), min_size=1, max_size=3).map("/".join)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(1, 2**70)
SIZES = st.integers(0, 2**70)


def tuples(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Tuples of up to three of the values."""
    return st.lists(values, max_size=3).map(tuple)


@st.composite
def variants(draw: st.DrawFn, name: str, source: SourceRecord, golden: str | None) -> VariantRecord:
    """A variant of that id, cut from the source."""
    removed = draw(st.sets(st.integers(1, source.blocks - 1))) if source.blocks > 1 else set()
    layers = tuple(block for block in range(source.blocks) if block not in removed)
    size = draw(SIZES)
    return VariantRecord(
        id=name,
        folder=f"variants/{name}",
        layers=layers,
        removed=tuple(sorted(removed)),
        top_k=None if source.top_k is None else tuple(draw(st.integers(1, source.top_k)) for _ in layers),
        drop=draw(st.none() | st.builds(DropRecord, mean=FLOATS, std=FLOATS, datasets=tuples(TEXTS))),
        parameters=draw(SIZES),
        active_parameters=draw(SIZES),
        bytes=size,
        shared_bytes=draw(st.integers(0, size)),
        golden=golden,
        checks=draw(tuples(st.builds(Check, name=TEXTS, outcome=TEXTS, detail=TEXTS))),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """A manifest that holds together."""
    top_k = draw(st.none() | st.integers(1, 8))
    source = SourceRecord(
        name=draw(TEXTS),
        architecture=draw(TEXTS),
        digest=draw(SHA256S),
        blocks=draw(st.integers(1, 6)),
        experts=draw(st.none() | COUNTS),
        top_k=top_k,
        synthetic=draw(st.booleans()),
    )
    paths = draw(st.lists(PATHS, unique=True, max_size=4))
    linked = st.none() | st.sampled_from(paths) if paths else st.none()
    return Manifest(
        trimoe=draw(TEXTS),
        source=source,
        choice=draw(
            st.builds(
                ChoiceRecord,
                strategy=TEXTS,
                protected=tuples(SIZES),
                evidence=tuples(st.builds(EvidenceEntry, role=TEXTS, kind=TEXTS, file=TEXTS, sha256=SHA256S)),
                notes=tuples(TEXTS),
            )
        ),
        variants=tuple(
            draw(variants(name, source, draw(linked)))
            for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
        ),
        files=tuple(
            FileRecord(path=path, size=draw(SIZES), sha256=draw(SHA256S), link_of=draw(linked)) for path in paths
        ),
    )


SCORES = st.builds(
    ScoreRecord,
    variant=TEXTS,
    engine=st.sampled_from(ENGINES),
    dtype=TEXTS,
    dataset=st.builds(DatasetRecord, name=TEXTS, task=TEXTS, samples=COUNTS, digest=SHA256S),
    definition=st.builds(DefinitionRecord, metric=TEXTS, meaning=TEXTS, cleanup=TEXTS),
    decoding=st.builds(DecodingRecord, prompt=TEXTS, strategy=TEXTS, max_new_tokens=COUNTS, batch_size=COUNTS),
    score=FLOATS,
    interval=st.builds(
        lambda level, ends, resamples, seed: IntervalRecord(
            level=level, low=min(ends), high=max(ends), resamples=resamples, seed=seed
        ),
        st.floats(0, 1, exclude_min=True, exclude_max=True),
        st.tuples(FLOATS, FLOATS),
        COUNTS,
        st.integers(),
    ),
    results=st.builds(ResultsRecord, path=PATHS, size=SIZES, sha256=SHA256S),
)
BASELINES = st.builds(
    Baseline,
    trimoe=TEXTS,
    family=st.builds(FamilyRecord, name=TEXTS, digest=SHA256S, source_digest=SHA256S),
    software=st.dictionaries(TEXTS, TEXTS, max_size=3),
    scores=st.lists(SCORES, max_size=2, unique_by=lambda score: score.key).map(tuple),
)


@st.composite
def shards(draw: st.DrawFn, path: str) -> ShardDigests:
    """The digests of a file whose tensors follow each other."""
    ends = sorted(draw(st.lists(SIZES, max_size=6)))
    places = list(zip(ends[::2], ends[1::2], strict=False))
    return ShardDigests(
        path=path,
        size=draw(SIZES) + (ends[-1] if ends else 0),
        sha256=draw(SHA256S),
        tensors=tuple(
            TensorDigest(name=draw(TEXTS), source=draw(TEXTS), begin=begin, end=end, sha256=draw(SHA256S))
            for begin, end in places
        ),
    )


@st.composite
def tensor_digests(draw: st.DrawFn) -> tuple[ShardDigests, ...]:
    """The digests of up to three files."""
    return tuple(draw(shards(path)) for path in draw(st.lists(PATHS, unique=True, max_size=3)))
