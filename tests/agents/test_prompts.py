"""The wording: each prompt extends the one before, and untrusted text stays text."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from agents.models.model import Message
from agents.prompts import (
    ACTING,
    after_reasoning,
    conversation,
    digest,
    fingerprint,
    reasoning_request,
    selection_question,
    skill_text,
    termination_question,
)
from transfer.memory.seed_pool import SEEDS

TEXT = st.text(max_size=20)
TURNS = st.lists(st.tuples(TEXT, TEXT), max_size=6)


@given(TEXT, TEXT, TURNS, TEXT, TEXT)
def test_the_next_prompt_extends_this_one(rules, memory, turns, action, seen):
    now = conversation(rules, memory, turns, "here")
    then = conversation(rules, memory, [*turns, ("here", action)], seen)
    assert then[: len(now)] == now
    assert then[len(now) :] == (Message("assistant", action), Message("user", seen))
    assert [message.role for message in now] == ["system", *["user", "assistant"] * len(turns), "user"]


@given(TEXT, TEXT, TURNS)
def test_prompts_under_different_skills_share_the_rules(rules, memory, turns):
    bare, with_memory = conversation(rules, "", turns, "x"), conversation(rules, memory, turns, "x")
    assert bare[1:] == with_memory[1:]
    assert bare[0].content == rules
    assert with_memory[0].content.startswith(rules)
    assert memory in with_memory[0].content


def test_braces_in_what_others_write_are_only_braces():
    wild = "{rules} {0} {memory!r} %s {"
    assert wild in conversation(wild, wild, [], wild)[0].content
    assert wild in reasoning_request((Message("user", wild),), "react")[-1].content
    skill = SEEDS[0].model_copy(update={"procedure": wild, "activation": wild})
    assert wild in skill_text(skill)
    assert termination_question(skill, wild)[0].content.count(wild) == 3
    assert selection_question({wild: skill}, wild)[0].content.count(wild) == 3


def test_reasoning_stays_out_of_the_next_prompt():
    prompt = conversation("rules", "", [("a", "b")], "c")
    asked = reasoning_request(prompt, "reason")
    assert asked[:-1] == prompt[:-1]
    assert asked[-1].content.startswith("c\n")
    thought = after_reasoning(asked, "hm")
    assert thought[: len(asked)] == asked
    assert [message.role for message in thought[len(asked) :]] == ["assistant", "user"]


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from(["", "a", "b", "ab"])), max_size=3))
def test_a_fingerprint_tells_prompts_apart(parts):
    prompt = tuple(Message(role, content) for role, content in parts)
    assert len(fingerprint(prompt)) == 12
    assert fingerprint(prompt) == fingerprint(tuple(prompt))
    assert fingerprint((*prompt, Message("user", ""))) != fingerprint(prompt)
    assert fingerprint((Message("user", "ab"),)) != fingerprint((Message("user", "a"), Message("user", "b")))


def test_the_digest_follows_the_wording(monkeypatch):
    before = digest()
    monkeypatch.setitem(ACTING, "select", ACTING["select"] + " Please.")
    assert digest() != before
    assert set(before) <= set(string.hexdigits)
