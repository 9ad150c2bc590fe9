"""Variant folders: complete, linked, loadable on their own, and checked against the plan."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from exporter.family.variant_folder import FamilyFiles, can_link, link_or_copy
from exporter.verify.export_structure import INDEX, check_structure
from runtime.errors import VerificationError
from tests.support.families import bare_source, digests, export_plan, plan_family


def refuse_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_variant_folder_is_a_complete_checkpoint(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "family")
    source = load_file(tmp_path / "source" / "model.safetensors")
    for variant in plan.variants:
        folder = tmp_path / "family" / "variants" / variant.id
        index = json.loads((folder / INDEX).read_text("utf-8"))
        loaded = {}
        for name in sorted(set(index["weight_map"].values())):
            loaded |= load_file(folder / name)
        assert loaded.keys() == index["weight_map"].keys()
        assert index["metadata"]["total_size"] == sum(v.nbytes for v in loaded.values()) == variant.bytes
        for layer, block in enumerate(variant.layers):
            for name in (n for n in source if n.startswith(f"model.layers.{block}.")):
                assert loaded[f"model.layers.{layer}." + name.split(".", 3)[3]].tobytes() == source[name].tobytes()
        assert json.loads((folder / "config.json").read_text("utf-8"))["num_hidden_layers"] == len(variant.layers)
        assert (folder / "tokenizer.json").read_text("utf-8") == '{"model": "tiny"}'
        has_code = variant.id.endswith("k1")
        assert (folder / "modeling_trimoe_per_layer_top_k.py").exists() == has_code


def test_each_unique_byte_is_stored_once(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "family")
    family = tmp_path / "family"
    assert (family / "variants/b5-k2/model-00001-of-00006.safetensors").samefile(
        family / "variants/b5-k1/model-00001-of-00006.safetensors"
    )
    assert (family / "variants/b5-k2" / INDEX).samefile(family / "variants/b5-k1" / INDEX)
    assert (family / "variants/b4-k2/tokenizer.json").samefile(family / "carried/tokenizer.json")
    weights = {p.stat().st_ino for p in family.rglob("*.safetensors")}
    assert len(weights) == len(plan.shards)


def test_a_copied_out_variant_stands_alone(tmp_path: Path) -> None:
    export_plan(plan_family(bare_source(tmp_path / "source")), tmp_path / "family")
    before = digests(tmp_path / "family" / "variants" / "b5-k1")
    shutil.copytree(tmp_path / "family" / "variants" / "b5-k1", tmp_path / "alone")
    shutil.rmtree(tmp_path / "family")
    assert digests(tmp_path / "alone") == before


def test_where_links_are_impossible_files_are_copied_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_family(bare_source(tmp_path / "source"))
    export_plan(plan, tmp_path / "linked")
    monkeypatch.setattr(os, "link", refuse_links)
    assert not can_link(tmp_path)
    result = export_plan(plan, tmp_path / "copied")
    assert any("no hard links here" in note for note in result.notes)
    assert all(record.link_of is None for record in result.manifest.files)
    linked, copied = digests(tmp_path / "linked"), digests(tmp_path / "copied")
    del linked["manifest.json"], copied["manifest.json"]
    assert linked == copied


def test_other_link_errors_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="Input/output"):
        link_or_copy(tmp_path / "file", tmp_path / "second")
    with pytest.raises(OSError, match="Input/output"):
        can_link(tmp_path)


def test_small_files_of_equal_content_are_links_and_recorded_as_such(tmp_path: Path) -> None:
    files = FamilyFiles(tmp_path)
    files.write("a/one", b"same")
    files.write("b/two", b"same")
    files.write("b/three", b"other")
    files.link("b/three", "c/four")
    assert [(r.path, r.link_of) for r in files.records()] == [
        ("a/one", None),
        ("b/three", None),
        ("b/two", "a/one"),
        ("c/four", "b/three"),
    ]
    assert (tmp_path / "b/two").samefile(tmp_path / "a/one")
    assert files.copied == 0


def test_a_variant_folder_that_is_not_as_planned_is_named(tmp_path: Path) -> None:
    plan = plan_family(bare_source(tmp_path / "source"), removals=((1,),), top_ks=None)
    export_plan(plan, tmp_path / "family")
    folder = tmp_path / "family" / "variants" / "b5-k2"
    check_structure(tmp_path / "family", plan)
    shard = folder / "model-00002-of-00006.safetensors"
    tensors = load_file(shard)
    name = (
        "model.layers.0.input_layernorm.weight"
        if "model.layers.0.input_layernorm.weight" in tensors
        else sorted(tensors)[0]
    )

    def index_with(change: dict[str, str | None]) -> bytes:
        document = json.loads(index)
        document["weight_map"] = {k: v for k, v in {**document["weight_map"], **change}.items() if v is not None}
        return json.dumps(document).encode()

    config, index, weights = ((folder / n).read_bytes() for n in ("config.json", INDEX, shard.name))
    save_file({k: v for k, v in tensors.items() if k != name}, tmp_path / "missing.safetensors")
    save_file({**tensors, "model.extra": tensors[name]}, tmp_path / "extra.safetensors")
    save_file({**tensors, name: tensors[name].reshape(2, -1)}, tmp_path / "shape.safetensors")
    cases = (
        (
            "config.json",
            config.replace(b'"num_hidden_layers": 5', b'"num_hidden_layers": 6'),
            "config.json: not the planned config",
        ),
        ("config.json", b"{", "config.json: line 1"),
        (
            INDEX,
            index_with({name: "model-00001-of-00006.safetensors"}),
            f"{name} is in {shard.name}, the index says model-00001-of-00006",
        ),
        (INDEX, index_with({"model.ghost": shard.name}), "model.ghost is in no file, the index says"),
        (shard.name, (tmp_path / "missing.safetensors").read_bytes(), f"tensor {name} is missing"),
        (shard.name, (tmp_path / "extra.safetensors").read_bytes(), "tensor model.extra is not planned"),
        (shard.name, (tmp_path / "shape.safetensors").read_bytes(), f"tensor {name} is F32 .*, planned F32"),
        (shard.name, weights[:100], f"{shard.name}: .*"),
    )
    for file, data, message in cases:
        good = (folder / file).read_bytes()
        (folder / file).unlink()
        (folder / file).write_bytes(data)
        with pytest.raises(VerificationError, match=message):
            check_structure(tmp_path / "family", plan)
        (folder / file).write_bytes(good)
    shutil.copy(shard, folder / "again.safetensors")
    with pytest.raises(VerificationError, match=r"is also in again\.safetensors"):
        check_structure(tmp_path / "family", plan)
