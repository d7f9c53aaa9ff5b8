"""The `[[agents]]` tables of a study file: which model, where it is, and how it plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from testbed.config.conduct.serve import ServeConfig
from testbed.config.table import OUTCOME_NEUTRAL, SINCE_FORMAT_1, Table


class Price(Table):
    """Of a million tokens, in any one money."""

    prompt: float = Field(default=0.0, ge=0.0)
    cached: float | None = Field(default=None, ge=0.0)
    """Of prompt tokens that the server had read before; as the others where it is not given."""
    completion: float = Field(default=0.0, ge=0.0)


class AgentConfig(Table):
    """One kind of agent: a model and how it plays."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=40)
    model: str = Field(min_length=1)
    """Catalog name, Hugging Face id, local folder, or "scripted:NAME"."""
    base_url: tuple[str, ...] = ()
    """OpenAI-compatible servers that hold the model; in process where there are none."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    device: str = "auto"
    context: int | None = Field(default=None, ge=64)
    reasoning: Literal["direct", "cot", "react"] = "direct"
    temperature: float = Field(default=0.6, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(default=64, ge=1, le=4096)
    timeout: float = Field(default=120.0, gt=0.0, le=86_400.0, json_schema_extra=OUTCOME_NEUTRAL)
    """Seconds of silence after which a server is asked again, once."""
    patience: float = Field(default=600.0, ge=0.0, le=604_800.0, json_schema_extra=OUTCOME_NEUTRAL)
    """Seconds of an outage (refused connections, 429, 5xx) that are waited out."""
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z][A-Z0-9_]*_API_KEY$", json_schema_extra=OUTCOME_NEUTRAL
    )
    """The environment variable that holds the servers' key; OPENAI_API_KEY where there is none."""
    price: Price | None = Field(default=None, json_schema_extra=OUTCOME_NEUTRAL)
    """What its model costs, for the accounts and --max-cost."""
    parameters: int | None = Field(default=None, ge=1, json_schema_extra=OUTCOME_NEUTRAL)
    """How many its model has, for studies of size; the catalog knows those of its own."""
    tokenizer: str | None = Field(default=None, min_length=1, json_schema_extra=SINCE_FORMAT_1)
    """Folder, catalog name or Hugging Face id of a served model's tokenizer, where `model` is none of these."""
    reasoning_budget: int | None = Field(default=None, ge=1, le=100_000, json_schema_extra=SINCE_FORMAT_1)
    """Tokens that a thought may take: aloud ("cot", "react": 120 by default), or before a served model's answer."""
    keep_thoughts: bool | None = Field(default=None, json_schema_extra=SINCE_FORMAT_1)
    """Whether what is thought aloud stays in later prompts, as in ReAct (2210.03629); unless given, moves alone do."""
    chat_template_kwargs: Mapping[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")],
        bool | int | float | str,
    ] = Field(default_factory=dict, json_schema_extra=SINCE_FORMAT_1)
    """What the chat template is told, such as { enable_thinking = false }."""
    serve: ServeConfig | None = Field(default=None, json_schema_extra=SINCE_FORMAT_1)
    """The run starts a vLLM server for it: true, or a table."""

    @field_validator("serve", mode="before")
    @classmethod
    def _plain_serve(cls, value: object) -> object:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _has_thoughts_to_keep(self) -> AgentConfig:
        if self.keep_thoughts and self.reasoning == "direct":
            raise ValueError('keep_thoughts keeps what is thought aloud; write reasoning = "react" or "cot" beside it')
        if self.serve is not None and (self.base_url or ":" in self.model):
            raise ValueError(
                "serve starts a server for weights on this machine; it goes with neither base_url nor plug-ins"
            )
        return self
