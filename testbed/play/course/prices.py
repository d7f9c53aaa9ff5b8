"""`Prices`: what models and machines cost, from the study's agents or from a file of prices."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from agents.models.adapters.metered import Account
from testbed.config.agent import AgentConfig, Price
from testbed.config.reading.near_miss import did_you_mean
from testbed.config.study import ConfigError, StudyConfig
from testbed.config.table import Table
from testbed.records.lines import first_problem
from testbed.records.side_files.accounts import Post

MILLION = 1e6


class Prices(Table):
    """By model, as studies name it, and of an hour of the machine; all in one money, whichever that is."""

    hour: float = Field(default=0.0, ge=0.0)
    models: Mapping[str, Price] = Field(default_factory=dict[str, Price])

    @classmethod
    def of(cls, config: StudyConfig, file: Path | None = None) -> Prices:
        """Those of the file, if any, then those that the study gives its agents. Raises ConfigError."""
        named = cls() if file is None else load_prices(file)
        evolver = config.learning.evolver
        agents = (*config.agents, *((evolver,) if isinstance(evolver, AgentConfig) else ()))
        own = {agent.model: agent.price for agent in agents if agent.price is not None}
        return cls(hour=named.hour, models={**named.models, **own})

    def __bool__(self) -> bool:
        return bool(self.hour or self.models)

    def cost(self, posts: Mapping[Post, Account], hours: float) -> float:
        """Of all posts and of so many hours. A model without a price costs nothing."""
        return self.hour * hours + sum(self.of_post(post, account) for post, account in posts.items())

    def of_post(self, post: Post, account: Account) -> float:
        """What the tokens of one post cost. Utterances that are scored are priced as prompts: none of them is drawn."""
        price = self.models.get(post.model)
        if price is None:
            return 0.0
        fresh = account.prompt_tokens - account.cached_tokens + account.scored_tokens
        cached = price.prompt if price.cached is None else price.cached
        spent = fresh * price.prompt + account.cached_tokens * cached + account.completion_tokens * price.completion
        return spent / MILLION


def load_prices(file: Path) -> Prices:
    """Raises ConfigError for a file that is no table of prices, in one sentence."""
    try:
        return Prices.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file of prices") from None
    except ValidationError as error:
        first = error.errors()[0]
        meant = did_you_mean(str(first["loc"][-1]), [*Prices.model_fields, *Price.model_fields]) or ""
        raise ConfigError(f"{file}: {first_problem(error)}{meant and '; ' + meant}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not readable as TOML: {error}") from None
