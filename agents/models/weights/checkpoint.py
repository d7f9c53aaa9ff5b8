"""A model folder, which is a stranger's: looked at before anything of it is loaded, and no code of its ever run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from agents.models.weights.room import check_room
from agents.models.weights.wheels import WeightsError

_CONFIG = 16_000_000
"""Bytes of a config.json at most."""
_LAYERS = 1024
"""More layers than that must have as many tensors."""
_CPU = torch.device("cpu")
_COUNTS = re.compile(r"(size|layers?|dim|heads|experts)$")


class Checkpoint(NamedTuple):
    config: Any
    tokenizer: PreTrainedTokenizerBase
    model: Any


def load_checkpoint(folder: Path, name: str, dtype: torch.dtype, device: torch.device = _CPU) -> Checkpoint:
    """Configuration, tokenizer and weights of a language model, which still lie in main memory.

    Raises WeightsError in one sentence for a folder that does not hold one, whole (no pickles, no code of its own), or
    whose weights the `device` has no room for.
    """
    check_room(check_folder(folder, name), name, dtype, device)
    transformers_logging.disable_progress_bar()
    try:
        config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer = load_tokenizer(folder)
        kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, notes = kind.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # strangers' files, read by strangers' code
        raise WeightsError(f"{name} cannot be loaded from {folder}: {_line(error)}") from error
    missing = sorted(notes["missing_keys"])
    if missing:
        raise WeightsError(
            f"{name} cannot be loaded from {folder}: {len(missing)} of its tensors are not there ({missing[0]}, …); "
            "fetch the folder again"
        )
    return Checkpoint(config, tokenizer, model)


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Raises what transformers raises."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def check_folder(folder: Path, name: str) -> int:
    """How many numbers a folder's weights are. Raises WeightsError unless it holds whole safetensors, and a
    configuration of that size."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        old = next(iter(sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.ckpt")])), None)
        has = f"its {old.name} is a pickle, which could run code" if old else "there are no weights"
        raise WeightsError(f"{name} cannot be loaded from {folder}: {has}; save it there as safetensors")
    tensors = numbers = 0
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                for key in opened.keys():  # noqa: SIM118  no mapping
                    tensors += 1
                    numbers += math.prod(opened.get_slice(key).get_shape())
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{name}: {file} is damaged ({_line(error)}); fetch it again") from error
    for place, count in _counts(_config(folder, name)):
        most = max(_LAYERS, tensors) if place.endswith(("layers", "layer")) else numbers
        if count > most:
            raise WeightsError(
                f"{name}: config.json in {folder} asks for {count:,} ({place}), and its weights are {numbers:,} "
                f"numbers in {tensors:,} tensors: they do not belong together"
            )
    return numbers


def _config(folder: Path, name: str) -> Any:
    file = folder / "config.json"
    try:
        if file.stat().st_size > _CONFIG:
            raise WeightsError(f"{name}: {file} is longer than any configuration")
        return json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{name}: {file} cannot be read: {_line(error)}") from error


def _counts(config: Any) -> Iterator[tuple[str, int]]:
    """Whatever in a configuration becomes the size of something."""
    for key, value in config.items() if isinstance(config, dict) else ():
        if isinstance(value, dict):
            yield from _counts(value)
        elif isinstance(value, int) and _COUNTS.search(str(key)):
            yield str(key), value


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
