"""Architectures of source models as data: a row each; no other file knows a model type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.architectures import decoder_parts as decoder_layout
from exporter.architectures.decoder_parts import DecoderLayout
from runtime.documents.checked_json import Node, describe
from runtime.documents.manifest import Manifest
from runtime.errors import CheckpointError, VerificationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """How the checkpoints of one architecture are laid out, and what a variant of it is called.

    Layout: `block_prefix` + index + "." begins every tensor name of a block; `layers_attribute` is the path of the
    module list in the model object; `other_stacks` are prefixes of numbered modules that are not decoder blocks.
    `experts_prefix` follows the block's prefix and is followed by an expert's index; `expert_projections` are its
    gate, up and down matrices; `module_renames` map on-disk module names to those in memory where they differ. Dense
    architectures have no experts_prefix.

    Config: `experts_keys` are spellings of one field (the first is today's); `layer_list_keys` hold one entry per
    block; `sparse_pattern` says that mlp_only_layers and decoder_sparse_step decide which blocks have experts;
    `alternating_windows` that a missing layer_types follows from use_sliding_window and max_window_layers;
    `plain_list_keys` are lists that are never per block; `other_subtrees` configure parts that are not the decoder;
    `required_values` must hold.

    Graphs: `decoder` says what the decoder computes and where its tensors are
    (exporter/architectures/decoder_parts.py).

    Variants: `variant_model_type`, `variant_architecture` and `variant_auto_map` apply when top_k differs between
    layers, or always where `always_own_type`; then `modeling_files` (of runtime/modeling) travel along.
    `processor_values` replace keys of carried JSON files.
    """

    name: str
    model_type: str
    block_prefix: str
    layers_attribute: str
    depth_key: str
    decoder: DecoderLayout
    top_k_key: str | None = None
    experts_keys: tuple[str, ...] = ()
    experts_prefix: str | None = None
    expert_projections: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    module_renames: tuple[tuple[str, str], ...] = ()
    other_stacks: tuple[str, ...] = ()
    layer_list_keys: tuple[str, ...] = ("layer_types", "mlp_layer_types")
    sparse_pattern: bool = False
    alternating_windows: bool = False
    plain_list_keys: tuple[str, ...] = ()
    other_subtrees: tuple[str, ...] = ()
    depth_divisor_key: str | None = None
    required_values: tuple[tuple[str, str], ...] = ()
    always_own_type: bool = False
    variant_model_type: str | None = None
    variant_architecture: str | None = None
    variant_auto_map: tuple[tuple[str, str], ...] = ()
    modeling_files: tuple[str, ...] = ()
    processor_values: tuple[tuple[str, str], ...] = ()

    @property
    def block_pattern(self) -> re.Pattern[str]:
        """Matches the tensor names of a block from their first character; group 1 is the index, group 2 what follows
        it."""
        return re.compile(rf"^{re.escape(self.block_prefix)}(0|[1-9][0-9]*)\.(.+)$", re.ASCII)

    @property
    def expert_pattern(self) -> re.Pattern[str] | None:
        """Matches what follows the block's prefix when the tensor belongs to one expert (group 1); None for dense
        architectures."""
        return (
            None
            if self.experts_prefix is None
            else re.compile(rf"^{re.escape(self.experts_prefix)}(0|[1-9][0-9]*)\.", re.ASCII)
        )

    def split_name(self, name: str) -> tuple[int, str] | None:
        """The block index and the rest of a block's tensor name; None for a tensor that belongs to no block."""
        found = self.block_pattern.match(name)
        return None if found is None else (int(found[1]), found[2])

    def layer_name(self, layer: int, rest: str) -> str:
        """The tensor name of `rest` at a layer index."""
        return f"{self.block_prefix}{layer}.{rest}"

    def has_own_type(self, top_k: tuple[int, ...] | None, source_top_k: int | None) -> bool:
        """Whether a variant with these experts per layer needs its own model type and modeling files (None: dense)."""
        return self.always_own_type or (top_k is not None and any(k != source_top_k for k in top_k))


PER_LAYER_TOP_K = "modeling_trimoe_per_layer_top_k"


def _with_list(model: str) -> dict[str, Any]:
    """The variant fields of a transformers architecture: remote code only where top_k differs between layers."""
    return {
        "variant_model_type": f"trimoe_{model.lower()}",
        "variant_architecture": f"Trimoe{model.replace('_', '')}ForCausalLM",
        "variant_auto_map": (
            ("AutoConfig", f"{PER_LAYER_TOP_K}.Trimoe{model.replace('_', '')}Config"),
            ("AutoModelForCausalLM", f"{PER_LAYER_TOP_K}.Trimoe{model.replace('_', '')}ForCausalLM"),
        ),
        "modeling_files": (f"{PER_LAYER_TOP_K}.py",),
    }


def _qwen_moe(
    name: str, model: str, decoder: DecoderLayout, experts_keys: tuple[str, ...], *, alternating_windows: bool
) -> Architecture:
    return Architecture(
        name=name,
        decoder=decoder,
        model_type=name,
        block_prefix="model.layers.",
        layers_attribute="model.layers",
        depth_key="num_hidden_layers",
        top_k_key="num_experts_per_tok",
        experts_keys=experts_keys,
        experts_prefix="mlp.experts.",
        sparse_pattern=True,
        alternating_windows=alternating_windows,
        **_with_list(model),
    )


MOLMOE = Architecture(
    name="molmoe",
    decoder=decoder_layout.MOLMOE,
    model_type="molmo",
    block_prefix="model.transformer.blocks.",
    layers_attribute="model.transformer.blocks",
    depth_key="n_layers",
    top_k_key="moe_top_k",
    experts_keys=("moe_num_experts",),
    experts_prefix="mlp.experts.",
    other_stacks=("model.vision_backbone.image_vit.transformer.resblocks.",),
    layer_list_keys=(),
    plain_list_keys=("vit_layers", "overlap_margins"),
    other_subtrees=("vision_backbone",),
    depth_divisor_key="block_group_size",
    required_values=(("block_type", "moe"),),
    always_own_type=True,
    variant_model_type="trimoe_molmoe",
    variant_architecture="TrimoeMolmoeForCausalLM",
    variant_auto_map=(
        ("AutoConfig", "configuration_trimoe_molmoe.TrimoeMolmoeConfig"),
        ("AutoModel", "modeling_trimoe_molmoe.TrimoeMolmoeModel"),
        ("AutoModelForCausalLM", "modeling_trimoe_molmoe.TrimoeMolmoeForCausalLM"),
        ("AutoImageProcessor", "image_processing_trimoe_molmoe.TrimoeMolmoeImageProcessor"),
        ("AutoProcessor", "processing_trimoe_molmoe.TrimoeMolmoeProcessor"),
    ),
    modeling_files=(
        "configuration_trimoe_molmoe.py",
        "crops_trimoe_molmoe.py",
        "decoder_trimoe_molmoe.py",
        "generation_trimoe_molmoe.py",
        "image_processing_trimoe_molmoe.py",
        "modeling_trimoe_molmoe.py",
        "processing_trimoe_molmoe.py",
        "vision_settings_trimoe_molmoe.py",
        "vision_trimoe_molmoe.py",
    ),
    processor_values=(
        ("image_processor_type", "TrimoeMolmoeImageProcessor"),
        ("processor_class", "TrimoeMolmoeProcessor"),
    ),
)

OLMOE = Architecture(
    name="olmoe",
    decoder=decoder_layout.OLMOE,
    model_type="olmoe",
    block_prefix="model.layers.",
    layers_attribute="model.layers",
    depth_key="num_hidden_layers",
    top_k_key="num_experts_per_tok",
    experts_keys=("num_experts", "num_local_experts"),
    experts_prefix="mlp.experts.",
    **_with_list("Olmoe"),
)

MIXTRAL = Architecture(
    name="mixtral",
    decoder=decoder_layout.MIXTRAL,
    model_type="mixtral",
    block_prefix="model.layers.",
    layers_attribute="model.layers",
    depth_key="num_hidden_layers",
    top_k_key="num_experts_per_tok",
    experts_keys=("num_local_experts", "num_experts"),
    experts_prefix="block_sparse_moe.experts.",
    expert_projections=("w1", "w3", "w2"),
    module_renames=(("block_sparse_moe.", "mlp."),),
    **_with_list("Mixtral"),
)

QWEN2_MOE = _qwen_moe(
    "qwen2_moe", "Qwen2_Moe", decoder_layout.QWEN2_MOE, ("num_experts", "num_local_experts"), alternating_windows=True
)
QWEN3_MOE = _qwen_moe(
    "qwen3_moe", "Qwen3_Moe", decoder_layout.QWEN3_MOE, ("num_local_experts", "num_experts"), alternating_windows=False
)

LLAMA = Architecture(
    name="llama",
    decoder=decoder_layout.LLAMA,
    model_type="llama",
    block_prefix="model.layers.",
    layers_attribute="model.layers",
    depth_key="num_hidden_layers",
)

ARCHITECTURES: tuple[Architecture, ...] = (MOLMOE, OLMOE, MIXTRAL, QWEN2_MOE, QWEN3_MOE, LLAMA)

NESTED_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")


def find_architecture(config: Mapping[str, Any], *, file: str) -> Architecture:
    """The architecture of a source config, by its model_type.

    Raises CheckpointError for nested multimodal configs, for unknown model types (naming the known ones), and for a
    field that must have a certain value and has not; DocumentError when model_type is missing or no string. `file`
    names the config in errors.
    """
    for key in NESTED_CONFIGS:
        if isinstance(config.get(key), Mapping):
            raise CheckpointError(
                f"{file}: {key}: the language model's config is nested, which no architecture here supports"
            )
    model_type = Node(value=dict(config), file=file).require("model_type").string()
    for architecture in ARCHITECTURES:
        if architecture.model_type == model_type:
            _check_required(architecture, config, file)
            return architecture
    known = ", ".join(
        f"{architecture.model_type} ({architecture.name})"
        if architecture.model_type != architecture.name
        else architecture.name
        for architecture in ARCHITECTURES
    )
    raise CheckpointError(f'{file}: model_type: unknown architecture "{model_type}"; known model types: {known}')


def manifest_architecture(manifest: Manifest) -> Architecture:
    """The architecture that a family's manifest names. Raises VerificationError when this trimoe does not know it."""
    name = manifest.source.architecture
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise VerificationError(f'the manifest names the architecture "{name}"; this trimoe knows {known}')


def _check_required(architecture: Architecture, config: Mapping[str, Any], file: str) -> None:
    for key, wanted in architecture.required_values:
        if key not in config:
            raise CheckpointError(
                f'{file}: the key "{key}" is missing; architecture {architecture.name} needs "{wanted}"'
            )
        if config[key] != wanted:
            raise CheckpointError(
                f'{file}: {key}: architecture {architecture.name} needs "{wanted}", found {describe(config[key])}'
            )
