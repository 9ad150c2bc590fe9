"""onnxruntime-genai loads a text variant as it was exported and decodes it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.documents.checked_json import read_document
from tests.support.graph_families import GraphFamilies, export_graphs, write_graph_model
from tests.support.tiny_transformers import masked_original

genai = pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")


@pytest.mark.parametrize("case", ["olmoe", "mixtral", "qwen2_moe", "qwen3_moe"])
def test_genai_decodes_the_same_greedy_tokens_as_transformers(case: str, tmp_path: Path) -> None:
    model = write_graph_model(tmp_path / "source", case)
    exported = export_graphs(tmp_path / "source", tmp_path / "family")
    variant = exported.plan.variants[0]
    prompt = np.random.default_rng(0).integers(2, 128, 9)
    with torch.no_grad():
        expected = (
            masked_original(model, variant.layers, variant.top_k)
            .generate(
                torch.from_numpy(prompt)[None],
                attention_mask=torch.ones(1, 9, dtype=torch.long),
                max_new_tokens=20,
                do_sample=False,
            )[0]
            .tolist()
        )
    loaded = genai.Model(str(exported.folder / "onnx" / "float32" / variant.id))
    parameters = genai.GeneratorParams(loaded)
    parameters.set_search_options(max_length=len(expected), do_sample=False)
    generator = genai.Generator(loaded, parameters)
    generator.append_tokens(prompt.astype(np.int32)[None])
    while not generator.is_done():
        generator.generate_next_token()
    assert generator.get_sequence(0).tolist() == expected


def test_the_folder_links_to_the_graph_and_to_the_data_file(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("olmoe")
    folder = exported.folder / "onnx" / "float32" / "b3-k2"
    decoder = read_document(folder / "genai_config.json").require("model").require("decoder")
    assert (folder / decoder.require("filename").string()).samefile(exported.path("b3-k2"))
    assert (folder / "weights.float32.bin").samefile(exported.folder / "onnx" / "float32" / "weights.float32.bin")
    assert decoder.require("num_hidden_layers").integer() == 3
