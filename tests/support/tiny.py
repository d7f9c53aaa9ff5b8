"""Random models of a few thousand weights, one of each family, with a tokenizer of bytes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

CONFIGS: dict[str, type[Any]] = {
    "llama": LlamaConfig,
    "gemma2": Gemma2Config,
    "gemma3": Gemma3TextConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
}
EXTRA: dict[str, dict[str, Any]] = {
    "gemma2": {
        "sliding_window": 24,
        "query_pre_attn_scalar": 40,  # not the width of a head
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gemma3": {
        "sliding_window": 24,
        "query_pre_attn_scalar": 40,  # not the width of a head
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
CHATML = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
WORDS = ("the", "ing", "[1", " 1", " 2", '":', '"}', "\n\n", "er")
"""Tokens of more than a byte, so that a text can be cut in several ways."""


def tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {char: index for index, char in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)[0][0]
        for stop in range(2, len(spelled) + 1):
            if spelled[:stop] not in vocabulary:
                vocabulary[spelled[:stop]] = len(vocabulary)
                merges.append((spelled[: stop - 1], spelled[stop - 1]))
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken("<|start|>", special=True), AddedToken("<|end|>", special=True)])
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", bos_token="<|start|>")
    made.chat_template = template
    return made


def sentence_piece() -> PreTrainedTokenizerFast:
    """As T5's: spaces are signs of their own, one stands before every text, and there are neither braces nor bytes."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789[].,:;?!'"
    words = ("▁go", "▁to", "▁[", "go", "▁1")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0), *((each, -5.0) for each in alphabet)]
    raw = Tokenizer(models.Unigram([*pieces, *((word, -3.0) for word in words)], unk_id=2))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    raw.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def model(family: str, words: PreTrainedTokenizerFast, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    options: dict[str, Any] = {
        "vocab_size": len(words) + 5,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "eos_token_id": words.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": words.eos_token_id,
    }
    config = CONFIGS[family](**options, **EXTRA.get(family, {}))
    made = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    made.name_or_path = f"tiny-{family}"
    return made


def t5(words: PreTrainedTokenizerFast) -> PreTrainedModel:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(words) + 5,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=words.eos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.eos_token_id,
    )
    return T5ForConditionalGeneration(config).float().eval()


def bart(words: PreTrainedTokenizerFast) -> PreTrainedModel:
    """An encoder-decoder whose positions are learned: 512 of them."""
    torch.manual_seed(0)
    end: Any = words.eos_token_id
    config = BartConfig(
        vocab_size=len(words),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=512,
        init_std=0.3,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end,
        forced_eos_token_id=None,
    )
    made = BartForConditionalGeneration(config).float().eval()
    made.name_or_path = "tiny-bart"
    return made


def twin(original: PreTrainedModel) -> PreTrainedModel:
    """The same weights under transformers' own attention."""
    return copy.deepcopy(original)
