"""`accounts.jsonl`: everything that models were asked, by whom and what for; sums over every process that wrote it."""

from __future__ import annotations

from collections import Counter

import pytest

from agents.models.adapters.metered import Account, Charge, Metered, charging
from agents.models.model import Message, Request, Utterance
from agents.models.scripted import scripted
from testbed.records.append_only import StoreError
from testbed.records.lines import EventLine
from testbed.records.side_files import accounts
from testbed.records.side_files.accounts import AccountBook, Post, by, read_accounts
from transfer.memory.events.course import Spent

ACT = Charge("a", "m", "act", Account(calls=1, prompt_tokens=10, completion_tokens=2, cached_tokens=4, seconds=0.5))
JUDGE = Charge("a", "m", "learn", Account(scored=3, scored_tokens=9))


def test_lines_add_up_over_processes_and_torn_ends(tmp_path):
    with AccountBook(tmp_path) as book:
        book.charge(ACT, "self")
        book.save()
        book.save()  # nothing new, nothing written
        book.charge(ACT, "self")
        book.charge(JUDGE, "learn", "notes")
    assert len((tmp_path / accounts.NAME).read_text().splitlines()) == 2
    with (tmp_path / accounts.NAME).open("a") as stream:
        stream.write('{"at": "2026-')
    with AccountBook(tmp_path) as book:
        assert book.before.total.tokens == 33
        assert book.now.total == Account()
        book.charge(ACT, "none")
    found = read_accounts(tmp_path)
    assert found.posts[Post("a", "m", "act", "self")] == Account(2, 20, 4, 0, 8, 0, 1.0)
    assert found.posts[Post("a", "m", "learn", "learn", "notes")].scored_tokens == 9
    assert found.total.tokens == 24 + 9 + 12
    assert by(found.posts, "use")[("act",)].calls == 3
    assert by(found.posts, "agent", "arm")[("a", "none")].calls == 1


def test_what_is_no_line_of_accounts_is_passed_over(tmp_path):
    (tmp_path / accounts.NAME).write_text('nonsense\n{"at": 1}\n', encoding="utf-8")
    assert read_accounts(tmp_path).total == Account()


def test_a_full_disk_keeps_what_was_not_written_for_the_next_time(tmp_path, monkeypatch):
    book = AccountBook(tmp_path)
    book.charge(ACT, "self")

    def full(file, text):
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "append_text", full)
        with pytest.raises(StoreError):
            book.save()
    book.save()
    assert read_accounts(tmp_path).total == ACT.cost


async def test_only_the_innermost_is_told_and_everything_is(anyio_backend):
    model = Metered(scripted("random"), "a", "recall")
    outer: list[Charge] = []
    inner: list[Charge] = []
    asked = Request((Message("user", "What now?"),))
    await model.generate(asked)
    with charging(outer.append):
        await model.generate(asked)
        with charging(inner.append):
            await model.score([Utterance(asked.messages, "two words")] * 3)
    assert [(charge.agent, charge.use, charge.cost.calls) for charge in outer] == [("a", "recall", 1)]
    assert [(charge.cost.scored, charge.cost.scored_tokens) for charge in inner] == [(3, 27)]
    assert outer[0].model == scripted("random").card.name


def test_the_accounts_of_a_study_are_those_of_its_records(study, run):
    """Moves by the steps of all seats, recall by what decisions say of it, learning by its events."""
    agent = {"name": "a", "model": "scripted:random"}
    changing = {"skills": {"embedder": "lexical", "selector": "likelihood", "max_age": 2}}
    learning = {"iterations": 2, "episodes": 3, "learner": "nppo", "choices": {"batch": 2}}
    tasks = [{"environment": "KuhnPoker-v0"}, {"environment": "Doors-v0-long"}]
    made = run(study(learning_runs=1, agents=[agent], tasks=tasks, learning=learning, **changing))
    posts = read_accounts(made.path).posts
    moves, recalls = Counter(), Counter()
    for episode in made.episodes():
        for seat, played in episode.seats.items():
            who = "a" if seat == episode.focal else "opponent:scripted:random"
            for step in played.steps:
                moves[who, episode.trial.arm, "calls"] += 1
                moves[who, episode.trial.arm, "prompt"] += step.prompt_tokens
                moves[who, episode.trial.arm, "written"] += step.completion_tokens
                recalls[episode.trial.arm] += step.reading_calls
    acted = by({post: account for post, account in posts.items() if post.use == "act"}, "agent", "arm")
    told = Counter()
    for (who, arm), account in acted.items():
        told[who, arm, "calls"] = account.calls
        told[who, arm, "prompt"] = account.prompt_tokens
        told[who, arm, "written"] = account.completion_tokens
    assert told == moves
    recalled = by({post: account for post, account in posts.items() if post.use == "recall"}, "arm")
    assert {arm: account.calls for (arm,), account in recalled.items() if account.calls} == {
        arm: calls for arm, calls in recalls.items() if calls
    }
    assert sum(account.scored for account in recalled.values()) > 0
    spent = [line.event for line in made.events() if isinstance(line, EventLine) and isinstance(line.event, Spent)]
    learned = posts[Post("a", "scripted:random", "learn", "learn")]
    assert learned.calls == sum(event.calls for event in spent) > 0
    assert learned.scored == sum(event.scored for event in spent)
