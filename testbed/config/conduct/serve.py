"""`serve` of an agent: its model is served with vLLM by the run itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from testbed.config.table import OUTCOME_NEUTRAL, Table

_OURS = ("model", "served-model-name", "host", "port", "dtype", "max-model-len", "quantization", "enable-sleep-mode")
_CODE = (
    *("trust-remote-code", "middleware", "worker-cls", "worker-extension-cls", "logits-processors", "config"),
    *("tool-parser-plugin", "reasoning-parser-plugin", "api-key", "ssl-keyfile", "uds", "root-path", "chat-template"),
)
"""Arguments of vLLM that run code, open the server to others, or change what a model is told."""


class ServeConfig(Table):
    """How a model is served on this machine. Memory is in shares of a GPU, lengths are in tokens."""

    tensor_parallel: int = Field(default=1, ge=1, le=64, json_schema_extra=OUTCOME_NEUTRAL)
    """GPUs that share the weights."""
    gpu_memory: float | None = Field(default=None, gt=0.0, le=1.0, json_schema_extra=OUTCOME_NEUTRAL)
    """Share of its GPUs' memory; unless given, what weights and cache need where models stand side by side, or .9."""
    max_length: int = Field(default=4096, ge=64)
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    quantization: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)
    sleep: Literal[1, 2] = Field(default=1, json_schema_extra=OUTCOME_NEUTRAL)
    """vLLM's level while another model has its turn: 1 keeps weights in main memory, 2 reads them from disk again."""
    extra: tuple[str, ...] = ()
    """Further arguments of vLLM, each as "--name" or "--name=value"."""

    @field_validator("extra")
    @classmethod
    def _harmless(cls, arguments: tuple[str, ...]) -> tuple[str, ...]:
        for argument in arguments:
            name = argument.removeprefix("--").partition("=")[0].partition(".")[0].replace("_", "-")
            if not argument.startswith("--") or not name:
                raise ValueError(f'{argument!r} is no argument of vLLM; write "--name=value", each in one piece')
            if any(full.startswith(name) for full in _CODE):
                raise ValueError(f"{argument!r} is not passed on: it runs code, opens the server or changes prompts")
            if any(full.startswith(name) for full in _OURS):
                raise ValueError(
                    f"{argument!r} is given by the run itself; see docs/servers.md for the keys of `serve`"
                )
        return arguments
