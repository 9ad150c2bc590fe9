"""What trimoe knows about an architecture of source models; exporter/architectures/supported.py has a row for each."""

import re
from dataclasses import dataclass

from exporter.architectures.decoder_tensors import DecoderTensors


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorNames:
    """What the tensors of the blocks are called on disk and in memory.

    `block_prefix` + index + "." begins every tensor name of a block; `layers_attribute` is the path of the module list
    in the model object; `other_stacks` are prefixes of numbered modules that are not decoder blocks. `experts_prefix`
    follows the block's prefix and is followed by an expert's index (None: dense); `expert_projections` are its gate, up
    and down matrices; `module_renames` map on-disk module names to those in memory where they differ.
    """

    block_prefix: str = "model.layers."
    layers_attribute: str = "model.layers"
    experts_prefix: str | None = None
    expert_projections: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    module_renames: tuple[tuple[str, str], ...] = ()
    other_stacks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigRules:
    """Which fields of config.json say how deep the model is, what its experts are and which blocks differ.

    `top_k_key` is None for dense architectures. `experts_keys` are spellings of one field (the first is today's);
    `layer_list_keys` hold one entry per block; `sparse_pattern` says that mlp_only_layers and decoder_sparse_step
    decide which blocks have experts; `alternating_windows` that a missing layer_types follows from use_sliding_window
    and max_window_layers; `depth_divisor_key` names a number that the depth must be a multiple of; `plain_list_keys`
    are lists that are never per block; `other_subtrees` configure parts that are not the decoder; `required_values`
    must hold.
    """

    depth_key: str = "num_hidden_layers"
    top_k_key: str | None = None
    experts_keys: tuple[str, ...] = ()
    layer_list_keys: tuple[str, ...] = ("layer_types", "mlp_layer_types")
    sparse_pattern: bool = False
    alternating_windows: bool = False
    depth_divisor_key: str | None = None
    plain_list_keys: tuple[str, ...] = ()
    other_subtrees: tuple[str, ...] = ()
    required_values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnType:
    """What a variant is called that transformers' own class of the source would load wrongly: always, or when top_k
    differs between layers.

    `architecture` and `auto_map` are config fields, `modeling_files` (of runtime/modeling) travel along, and
    `processor_values` replace keys of auxiliary JSON files. All are empty for dense architectures, which never need it.
    """

    always: bool = False
    model_type: str | None = None
    architecture: str | None = None
    auto_map: tuple[tuple[str, str], ...] = ()
    modeling_files: tuple[str, ...] = ()
    processor_values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One architecture of source models: what trimoe calls it, its config's model_type, its tensors, its decoder, its
    config and what its variants are called."""

    name: str
    model_type: str
    tensors: TensorNames
    decoder: DecoderTensors
    config: ConfigRules
    own_type: OwnType = OwnType()

    @property
    def block_pattern(self) -> re.Pattern[str]:
        """Matches the tensor names of a block from their first character; group 1 is the index, group 2 what follows
        it."""
        return re.compile(rf"^{re.escape(self.tensors.block_prefix)}(0|[1-9][0-9]*)\.(.+)$", re.ASCII)

    @property
    def expert_pattern(self) -> re.Pattern[str] | None:
        """Matches what follows the block's prefix when the tensor belongs to one expert (group 1); None for dense
        architectures."""
        prefix = self.tensors.experts_prefix
        return None if prefix is None else re.compile(rf"^{re.escape(prefix)}(0|[1-9][0-9]*)\.", re.ASCII)

    def split_name(self, name: str) -> tuple[int, str] | None:
        """The block index and what follows it in a block's tensor name; None for a tensor that belongs to no block."""
        found = self.block_pattern.match(name)
        return None if found is None else (int(found[1]), found[2])

    def layer_name(self, layer: int, suffix: str) -> str:
        """The tensor name that has `suffix` behind a layer's index."""
        return f"{self.tensors.block_prefix}{layer}.{suffix}"

    def has_own_type(self, top_k: tuple[int, ...] | None, source_top_k: int | None) -> bool:
        """Whether a variant with these experts per layer needs its own model type and modeling files (None: dense)."""
        return self.own_type.always or (top_k is not None and any(k != source_top_k for k in top_k))

    def modeling_files(self, top_k: tuple[int, ...] | None, source_top_k: int | None) -> tuple[str, ...]:
        """The modeling files that such a variant needs; none where transformers' own class loads it rightly."""
        return self.own_type.modeling_files if self.has_own_type(top_k, source_top_k) else ()
