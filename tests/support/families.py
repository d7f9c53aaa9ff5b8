"""Every decoder family that transformers knows, as a model of a few thousand random weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, AutoModelForCausalLM

FAMILIES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

_COMMON: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embedding_size"), 64),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "decoder_ffn_dim"), 96),
    **dict.fromkeys(("encoder_ffn_dim",), 96),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads",), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), 512),
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "rotary_dim": 8,
    "sliding_window": 24,
    "mamba_d_state": 16,
    "mamba_chunk_size": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_OTHERWISE: tuple[dict[str, Any], ...] = (
    {},
    {"num_key_value_heads": 4},  # latent attention
    {"num_key_value_heads": 4, "head_dim": None},
    {"num_hidden_layers": 4, "num_layers": 4},
    {"num_hidden_layers": 6, "layer_types": None, "num_kv_shared_layers": 2},
    {"layer_types": ["full_attention", "conv"]},
    {"attention_types": [[["global", "local"], 1]], "window_size": 24},
    {"num_heads": 8, "n_groups": 1},
    {"num_experts_per_tok": 1},
    {"is_decoder": True, "axial_pos_shape": (16, 32), "axial_pos_embds_dim": (32, 32)},
    {"default_language": "en_XX"},
    {"hidden_size_per_layer_input": 0},
)
"""What some families want otherwise; the first that works is taken."""
_LARGEST = 100_000_000
"""Weights beyond which a family counts as one that cannot be built small."""


class CannotBuild(Exception):
    """This family's configuration has parts of its own, or is not a language model by itself."""


def build(family: str, vocabulary: int, seed: int = 0) -> PreTrainedModel:
    """In float32, with weights large enough that every part matters. Raises CannotBuild."""
    reasons: list[str] = []
    for other in _OTHERWISE:
        try:
            config = _config(CONFIG_MAPPING[family], {**_COMMON, "vocab_size": vocabulary, **other})
            with torch.device("meta"):
                size = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
            if size > _LARGEST:
                raise CannotBuild(f"{size:,} weights")
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(config).float().eval()
            for name, weight in model.named_parameters():
                if weight.dim() > 1 or name.endswith("bias"):
                    weight.data.normal_(0, 0.15)
            with torch.inference_mode():
                model(input_ids=torch.arange(40)[None], use_cache=False)
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
        else:
            model.name_or_path = f"tiny-{family}"
            return model
    raise CannotBuild(f"{family}: {reasons[0]}")


def _config(kind: Any, wanted: dict[str, Any]) -> Any:
    known = {name for base in kind.__mro__ for name in getattr(base, "__annotations__", {})} | set(kind.attribute_map)
    chosen = {name: value for name, value in wanted.items() if name in known}
    for name, part in (getattr(kind, "sub_configs", None) or {}).items():
        if hasattr(part, "attribute_map"):
            chosen[name] = _config(part, wanted)
    return kind(**chosen)
