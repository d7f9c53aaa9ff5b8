"""AutoGen's `ChatCompletionClient` over any `Model`, so that ours also work in AutoGen's own agents and teams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated]  AutoGen still asks for it
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from agents.models.model import Message, Model, ModelError, Request, Role, Sampling
from environments.grammar import Grammar, JsonSchema


class AutoGenClient(ChatCompletionClient):
    """A model as AutoGen's agents call it. Closing it closes the model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._prompt_tokens = 0
        self._completion_tokens = 0

    component_type = "model"
    component_config_schema = BaseModel

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """AutoGen's call; `extra_create_args` takes the fields of `Sampling` plus `grammar` and `session`."""
        if tools:
            raise ModelError(f"{self.model.card.name} takes no tools: agents here act by writing text")
        args = dict(extra_create_args)
        grammar: Grammar | None = args.pop("grammar", None)
        if isinstance(json_output, type):
            grammar = JsonSchema.of(json_output.model_json_schema())
        elif json_output:
            grammar = JsonSchema.of({"type": "object"})
        session: str = args.pop("session", "")
        completion = await self.model.generate(Request(plain_messages(messages), grammar, Sampling(**args), session))
        self._prompt_tokens += completion.prompt_tokens
        self._completion_tokens += completion.completion_tokens
        return CreateResult(
            finish_reason=completion.finish,
            content=completion.text,
            usage=RequestUsage(completion.prompt_tokens, completion.completion_tokens),
            cached=False,
        )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        result = await self.create(messages, tools=tools, json_output=json_output, extra_create_args=extra_create_args)
        yield str(result.content)
        yield result

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(self._prompt_tokens, self._completion_tokens)

    def total_usage(self) -> RequestUsage:
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return sum(self.model.count(message.content) for message in plain_messages(messages))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return self.model.card.context - self.count_tokens(messages)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated]
        return ModelCapabilities(vision=False, function_calling=False, json_output=True)  # pyright: ignore[reportDeprecated]

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=True,
            structured_output=True,
            family=self.model.card.family,
            multiple_system_messages=False,
        )

    async def close(self) -> None:
        await self.model.close()


def plain_messages(messages: Sequence[LLMMessage]) -> tuple[Message, ...]:
    """AutoGen's messages as ours. Raises ModelError for a message that is not text."""
    roles: dict[str, Role] = {"SystemMessage": "system", "UserMessage": "user", "AssistantMessage": "assistant"}
    out: list[Message] = []
    for message in messages:
        role = roles.get(type(message).__name__)
        if role is None or not isinstance(message.content, str):
            raise ModelError(f"only text messages can be sent, not a {type(message).__name__}")
        out.append(Message(role, message.content))
    return tuple(out)
