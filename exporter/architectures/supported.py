"""The architectures that trimoe supports, a row each; no other file knows a model type."""

from exporter.architectures.architecture import Architecture, ConfigRules, OwnType, TensorNames
from exporter.architectures.decoder_tensors import DecoderTensors

PER_LAYER_TOP_K = "modeling_trimoe_per_layer_top_k"


def _per_layer_top_k(model: str) -> OwnType:
    """The own type of a transformers architecture: remote code only where top_k differs between layers."""
    classes = f"Trimoe{model.replace('_', '')}"
    return OwnType(
        model_type=f"trimoe_{model.lower()}",
        architecture=f"{classes}ForCausalLM",
        auto_map=(
            ("AutoConfig", f"{PER_LAYER_TOP_K}.{classes}Config"),
            ("AutoModelForCausalLM", f"{PER_LAYER_TOP_K}.{classes}ForCausalLM"),
        ),
        modeling_files=(f"{PER_LAYER_TOP_K}.py",),
    )


MOLMOE = Architecture(
    name="molmoe",
    model_type="molmo",
    tensors=TensorNames(
        block_prefix="model.transformer.blocks.",
        layers_attribute="model.transformer.blocks",
        experts_prefix="mlp.experts.",
        other_stacks=("model.vision_backbone.image_vit.transformer.resblocks.",),
    ),
    decoder=DecoderTensors(
        embeddings=("model.transformer.wte.embedding", "model.transformer.wte.new_embedding"),
        final_norm="model.transformer.ln_f.weight",
        attention_norm="attn.attn_norm.weight",
        query_key_value=("attn.att_proj",),
        attention_output="attn.attn_out",
        query_norm="attn.q_norm.weight",
        key_norm="attn.k_norm.weight",
        feed_forward_norm="mlp.ff_norm.weight",
        inputs="inputs_embeds",
        clip_before_norm=True,
    ),
    config=ConfigRules(
        depth_key="n_layers",
        top_k_key="moe_top_k",
        experts_keys=("moe_num_experts",),
        layer_list_keys=(),
        depth_divisor_key="block_group_size",
        plain_list_keys=("vit_layers", "overlap_margins"),
        other_subtrees=("vision_backbone",),
        required_values=(("block_type", "moe"),),
    ),
    own_type=OwnType(
        always=True,
        model_type="trimoe_molmoe",
        architecture="TrimoeMolmoeForCausalLM",
        auto_map=(
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
            "image_settings_trimoe_molmoe.py",
            "modeling_trimoe_molmoe.py",
            "processing_trimoe_molmoe.py",
            "prompts_trimoe_molmoe.py",
            "resize_trimoe_molmoe.py",
            "vision_settings_trimoe_molmoe.py",
            "vision_trimoe_molmoe.py",
        ),
        processor_values=(
            ("image_processor_type", "TrimoeMolmoeImageProcessor"),
            ("processor_class", "TrimoeMolmoeProcessor"),
        ),
    ),
)

OLMOE = Architecture(
    name="olmoe",
    model_type="olmoe",
    tensors=TensorNames(experts_prefix="mlp.experts."),
    decoder=DecoderTensors(query_norm="self_attn.q_norm.weight", key_norm="self_attn.k_norm.weight", renormalised=None),
    config=ConfigRules(top_k_key="num_experts_per_tok", experts_keys=("num_experts", "num_local_experts")),
    own_type=_per_layer_top_k("Olmoe"),
)

MIXTRAL = Architecture(
    name="mixtral",
    model_type="mixtral",
    tensors=TensorNames(
        experts_prefix="block_sparse_moe.experts.",
        expert_projections=("w1", "w3", "w2"),
        module_renames=(("block_sparse_moe.", "mlp."),),
    ),
    decoder=DecoderTensors(router="block_sparse_moe.gate.weight", renormalised=True),
    config=ConfigRules(top_k_key="num_experts_per_tok", experts_keys=("num_local_experts", "num_experts")),
    own_type=_per_layer_top_k("Mixtral"),
)

QWEN2_MOE = Architecture(
    name="qwen2_moe",
    model_type="qwen2_moe",
    tensors=TensorNames(experts_prefix="mlp.experts."),
    decoder=DecoderTensors(
        renormalised=None, shared_expert="mlp.shared_expert.", shared_expert_gate="mlp.shared_expert_gate.weight"
    ),
    config=ConfigRules(
        top_k_key="num_experts_per_tok",
        experts_keys=("num_experts", "num_local_experts"),
        sparse_pattern=True,
        alternating_windows=True,
    ),
    own_type=_per_layer_top_k("Qwen2_Moe"),
)

QWEN3_MOE = Architecture(
    name="qwen3_moe",
    model_type="qwen3_moe",
    tensors=TensorNames(experts_prefix="mlp.experts."),
    decoder=DecoderTensors(query_norm="self_attn.q_norm.weight", key_norm="self_attn.k_norm.weight", renormalised=None),
    config=ConfigRules(
        top_k_key="num_experts_per_tok", experts_keys=("num_local_experts", "num_experts"), sparse_pattern=True
    ),
    own_type=_per_layer_top_k("Qwen3_Moe"),
)

LLAMA = Architecture(
    name="llama",
    model_type="llama",
    tensors=TensorNames(),
    decoder=DecoderTensors(router=None),
    config=ConfigRules(),
)

ARCHITECTURES: tuple[Architecture, ...] = (MOLMOE, OLMOE, MIXTRAL, QWEN2_MOE, QWEN3_MOE, LLAMA)
