"""A budget ends a study in order: nothing new is begun, what had begun is finished, and the same command goes on."""

from __future__ import annotations

import re

import anyio
import pytest

from agents.models.adapters.metered import Account, Charge
from testbed.config.study import ConfigError
from testbed.play.course.budget import UNLIMITED, Budget, BudgetSpent, Limits
from testbed.play.course.prices import Prices, load_prices
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import Post, read_accounts
from testbed.records.side_files.status import read_status
from testbed.studies.run import run_study
from tests.support.studies import Watcher

PRICED = [
    {"name": "a", "model": "scripted:random", "price": {"prompt": 1000, "completion": 9000}},
    {"name": "b", "model": "scripted:suggestible", "reasoning": "cot"},
]


def told(run: RunDirectory) -> tuple[list[bytes], list[bytes]]:
    return sorted(run.episodes_file.read_bytes().splitlines()), sorted(run.events_file.read_bytes().splitlines())


def accounted(run: RunDirectory) -> dict[Post, tuple[int, ...]]:
    """All but seconds, which differ from day to day, and what another's reading leaves in a cache."""
    posts = read_accounts(run.path).posts
    return {
        post: (each.calls, each.prompt_tokens, each.completion_tokens, each.scored, each.scored_tokens)
        for post, each in posts.items()
    }


@pytest.mark.parametrize("kind", ["matrix", "nppo", "population", "memories"])
def test_ended_again_and_again_by_its_budget_it_is_the_undisturbed_run(study, run_in, tmp_path, kind):
    """Episodes, events and accounts, to the last token: nothing was played or learned twice."""
    changes = {
        "matrix": {},
        "nppo": {
            "learning_runs": 1,
            "learning": {"iterations": 2, "episodes": 3, "learner": "nppo", "choices": {"batch": 2}},
        },
        "population": {"study": "population", "learning_runs": 1, "arms": ["none"]},
        "memories": {
            "study": "learn",
            "memories": [{"name": "retry", "learner": "reflexion", "choices": {}}],
        },
    }[kind]
    config = study(agents=PRICED, concurrency=4, **changes)
    whole = run_in(tmp_path / "whole", config)
    spent = read_accounts(whole.path).total.tokens
    stops, sentences = 0, []
    while True:
        try:
            limits = Limits(tokens=max(1, spent // 7))
            outcome = anyio.run(run_study, config, tmp_path / "stopped", Watcher(), limits)
        except BudgetSpent as reached:
            stops += 1
            sentences.append(str(reached))
            (path,) = (tmp_path / "stopped").iterdir()
            assert read_status(path).state == "spent"
        else:
            break
    assert 2 <= stops <= 7
    assert all(re.match(r"--max-tokens \d+ is reached \([\d,]+ tokens\)", sentence) for sentence in sentences)
    assert not outcome.shortfall
    assert told(outcome.run) == told(whole)
    assert accounted(outcome.run) == accounted(whole)
    assert read_status(outcome.run.path).state == "finished"


def test_money_and_hours_are_limits_too(study, tmp_path):
    config = study(agents=PRICED)
    with pytest.raises(BudgetSpent, match=r"--max-cost 0.01 is reached \(\d+\.\d\d\)"):
        anyio.run(run_study, config, tmp_path, Watcher(), Limits(cost=0.01))
    with pytest.raises(BudgetSpent, match=r"--max-hours 0 is reached \(0.00 hours\)"):
        anyio.run(run_study, config, tmp_path, Watcher(), Limits(hours=0))


async def test_who_learns_goes_on_with_episodes_of_its_own(anyio_backend):
    """Else it would wait for itself. Whoever would begin meanwhile waits for it."""
    budget = Budget(limits=Limits(tokens=1))
    charge = Charge("a", "m", "act", Account(calls=1, prompt_tokens=5))
    log = []

    async def learner():
        with budget.step(lambda charge: None):
            await anyio.sleep(0)
            budget.book.charge(charge, "self")
            assert budget.may_begin
            with budget.episode(lambda charge: None):
                await anyio.sleep(0.01)
            log.append("learned")
        log.append("committed")

    async def other():
        await anyio.sleep(0.001)
        assert not budget.may_begin
        with pytest.raises(BudgetSpent):
            await budget.end()
        log.append("ended")

    async with anyio.create_task_group() as group:
        group.start_soon(learner)
        group.start_soon(other)
    assert log == ["learned", "committed", "ended"]
    assert Budget(limits=UNLIMITED).may_begin


def test_prices_are_of_millions_of_tokens_and_of_hours(study, tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text('hour = 2\n[models."scripted:suggestible"]\nprompt = 4\ncached = 1\n', encoding="utf-8")
    prices = Prices.of(study(agents=PRICED), file)
    account = Account(calls=1, prompt_tokens=3_000_000, cached_tokens=1_000_000, completion_tokens=1_000_000)
    posts = {Post("b", "scripted:suggestible", "act", "self"): account, Post("c", "free", "act", "self"): account}
    assert prices.cost(posts, 1.5) == 2 * 4 + 1 * 1 + 3
    assert prices.of_post(Post("a", "scripted:random", "act", "self"), account) == 3000 + 9000
    assert not Prices()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hours = 2", "did you mean 'hour'?"),
        ("[models.m]\nprompt = -1", "models.m.prompt: Input should be greater than or equal to 0"),
        ("hour = ", "not readable as TOML"),
    ],
)
def test_a_file_that_is_no_table_of_prices_is_refused_in_a_sentence(tmp_path, text, sentence):
    file = tmp_path / "prices.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load_prices(file)
    with pytest.raises(ConfigError, match="no such file"):
        load_prices(tmp_path / "none.toml")


def test_the_command_says_which_limit_was_reached_and_exits_with_4(procmem, sentence, small_file, tmp_path):
    said = procmem("run", small_file, "--out", tmp_path / "runs", "--max-tokens", 1, "--set", "concurrency=1")
    assert said.code == 4
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("Stopped: --max-tokens 1 is reached (")
    assert last.endswith("the same command goes on.")
    assert procmem("run", small_file, "--out", tmp_path / "runs").code == 0
    assert "nothing has a price" in sentence("run", small_file, "--max-cost", 1)
    assert procmem("run", small_file, "--max-tokens", 0).code == 2
