"""Whatever is written reads back equal, and no key can go or change its type unnoticed: manifest, baseline, tensors."""

import copy
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from runtime.documents.baseline import Baseline, dump_baseline, read_baseline
from runtime.documents.latency.estimator_document import dump_estimator, read_estimator
from runtime.documents.latency.profile_document import dump_profile, read_profile
from runtime.documents.manifest import Manifest, dump_manifest, read_manifest
from runtime.documents.tensor_digests import ShardDigests, TensorDigest, dump_tensor_digests, read_tensor_digests
from runtime.errors import DocumentError
from tests.support.documents import BASELINE, BASELINES, MANIFEST, manifests, tensor_digests
from tests.support.latency_documents import ESTIMATOR, PROFILE

Place = tuple[str | int, ...]
TENSORS = (
    ShardDigests(
        path="weights/a.safetensors",
        size=10,
        sha256="a" * 64,
        tensors=(TensorDigest(name="t", source="s", begin=2, end=10, sha256="b" * 64),),
    ),
)
DOCUMENTS: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "manifest": ("manifest.json", dump_manifest(MANIFEST), lambda path: read_manifest(path.parent)),
    "baseline": ("baseline.json", dump_baseline(BASELINE), read_baseline),
    "profile": ("profile.json", dump_profile(PROFILE), read_profile),
    "estimator": ("estimator.json", dump_estimator(ESTIMATOR), read_estimator),
    "tensors": ("tensors.json", dump_tensor_digests(TENSORS), lambda path: read_tensor_digests(path.parent)),
}
NULL_OR = ("experts", "top_k", "drop", "golden", "link_of", "clocks", "position", "peak_memory_bytes", "energy_j")
FREE_KEYS = ("software",)
OTHERS = (None, True, 3, 2.5, "text", [], {})


@settings(max_examples=50, deadline=None)
@given(manifests())
def test_any_manifest_reads_back_equal(manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "manifest.json").write_bytes(dump_manifest(manifest))
        assert read_manifest(Path(folder)) == manifest


@settings(max_examples=50, deadline=None)
@given(BASELINES)
def test_any_baseline_reads_back_equal(baseline: Baseline) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "baseline.json")
        path.write_bytes(dump_baseline(baseline))
        assert read_baseline(path) == baseline
        assert dump_baseline(read_baseline(path)) == path.read_bytes()


@settings(max_examples=50, deadline=None)
@given(tensor_digests())
def test_any_tensor_digests_read_back_equal(shards: tuple[ShardDigests, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tensors.json").write_bytes(dump_tensor_digests(shards))
        assert read_tensor_digests(Path(folder)) == shards


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """The place of every value of a document but the whole."""
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*place, key)
        yield from places(child, (*place, key))


def shown(place: Place) -> str:
    """A place as messages show it, e.g. `variants[0].layers`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def allowed(place: Place, old: object, new: object) -> bool:
    """Whether a reader takes `new` in place of `old`: another value of its type, an integer for a number, null and what
    stands in its place where it may be null."""
    may_be_null = place[-1] in NULL_OR
    if (new is None or old is None) and may_be_null:
        return True
    return type(old) is type(new) or (type(old) is float and type(new) is int)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_any_key_that_is_removed_is_named_with_its_place(kind: str, tmp_path: Path) -> None:
    name, data, read = DOCUMENTS[kind]
    keys = [p for p in places(json.loads(data)) if isinstance(p[-1], str) and not set(p[:-1]) & set(FREE_KEYS)]
    assert len(keys) > 8
    for place in keys:
        document = json.loads(data)
        del follow(document, place[:-1])[place[-1]]
        (tmp_path / name).write_text(json.dumps(document))
        parent = f"{shown(place[:-1])}: " if place[:-1] else ""
        with pytest.raises(DocumentError, match=re.escape(f'{name}: {parent}the key "{place[-1]}" is missing')):
            read(tmp_path / name)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_any_value_of_another_type_is_refused_with_its_place(kind: str, tmp_path: Path) -> None:
    name, data, read = DOCUMENTS[kind]
    document = json.loads(data)
    tried = 0
    for place in places(document):
        old = follow(document, place)
        for new in OTHERS:
            if allowed(place, old, new):
                continue
            edited = copy.deepcopy(document)
            follow(edited, place[:-1])[place[-1]] = new
            (tmp_path / name).write_text(json.dumps(edited))
            with pytest.raises(DocumentError, match=re.escape(f"{name}: {shown(place)}: expected ")):
                read(tmp_path / name)
            tried += 1
    assert tried > 50


def follow(document: Any, place: Place) -> Any:
    for key in place:
        document = document[key]
    return document
