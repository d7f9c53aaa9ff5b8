"""Base URLs, proxies and keys: what cannot work is one sentence, and no secret is in it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from agents.models.model import Message, ModelError, ModelMisconfigured, Request
from agents.models.served.http.address import below, check_address
from agents.models.served.http.api_key import read_key, redact
from agents.models.served.http.wire.proxies import proxy_for
from agents.models.served.model import ServedModel
from tests.support.stub_server import Reply, StubServer, says, stub_servers

KEY = "sk-live-0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://one:8000", "http://one:8000/v1"),
        ("http://one:8000/", "http://one:8000/v1"),
        ("https://one/api/v3/", "https://one/api/v3"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ("http://[fd00::7]/v1", "http://[fd00::7]/v1"),
    ],
)
def test_addresses(url: str, clean: str):
    assert check_address(url) == clean
    assert below("http://one/v1", "../tokenize") == "http://one/tokenize"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "must look like"),
        ("ftp://one/v1", "must look like"),
        ("http://", "must look like"),
        ("http://one two/v1", "must look like"),
        ("http://one/v1\n", "must look like"),
        ("x" * 10_000, "must look like"),
        ("http://one:port/v1", "not a URL"),
        ("http://one:99999/v1", "not a URL"),
        ("http://[::1/v1", "not a URL"),
        ("http://user:hunter2@one/v1", "user name or password"),
        ("http://hunter2@one/v1", "user name or password"),
        ("http://one/v1?api-key=hunter2", "after its path"),
        ("http://one/v1#hunter2", "after its path"),
    ],
)
def test_addresses_that_are_refused_are_not_repeated_with_their_secrets(url: str, words: str):
    with pytest.raises(ModelMisconfigured, match=words) as caught:
        check_address(url)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 600


PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://one/v1", {}, None),
        ("http://one/v1", {"http_proxy": PROXY}, PROXY),
        ("http://one/v1", {"HTTP_PROXY": "proxy:3128"}, PROXY),
        ("https://one/v1", {"HTTP_PROXY": PROXY}, None),
        ("https://one/v1", {"ALL_PROXY": "socks5h://s:1"}, "socks5h://s:1"),
        ("http://127.0.0.1:8000/v1", {"http_proxy": PROXY}, None),
        ("http://localhost/v1", {"http_proxy": PROXY}, None),
        ("http://[::1]:8000/v1", {"http_proxy": PROXY}, None),
        ("http://[::ffff:127.0.0.1]/v1", {"http_proxy": PROXY}, None),
        ("http://0.0.0.0:8000/v1", {"http_proxy": PROXY}, None),
        ("http://one/v1", {"http_proxy": PROXY, "NO_PROXY": "*"}, None),
        ("http://a.one.org/v1", {"http_proxy": PROXY, "NO_PROXY": "[::1], .one.org"}, None),
        ("http://a.one.org/v1", {"http_proxy": PROXY, "NO_PROXY": "one.org"}, None),
        ("http://aone.org/v1", {"http_proxy": PROXY, "NO_PROXY": "one.org"}, PROXY),
        ("http://one:8000/v1", {"http_proxy": PROXY, "NO_PROXY": "one:8000"}, None),
        ("http://one:9000/v1", {"http_proxy": PROXY, "NO_PROXY": "one:8000"}, PROXY),
        ("http://10.1.2.3/v1", {"http_proxy": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://11.1.2.3/v1", {"http_proxy": PROXY, "NO_PROXY": "10.0.0.0/8"}, PROXY),
        ("http://[fd00::7]/v1", {"http_proxy": PROXY, "NO_PROXY": "fd00::/8"}, None),
        ("http://[fd00::7]/v1", {"http_proxy": PROXY, "NO_PROXY": "[fd00::7]"}, None),
        ("http://[fe80::7]/v1", {"http_proxy": PROXY, "NO_PROXY": "[::1],fd00::/8"}, PROXY),
    ],
)
def test_proxies_of_every_form(url: str, environment: dict[str, str], proxy: str | None):
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize("proxy", ["ftp://user:hunter2@proxy", "http://[::1", "http://proxy:x"])
def test_a_proxy_of_no_kind_is_a_sentence(proxy: str):
    with pytest.raises(ModelMisconfigured, match="cannot be used") as caught:
        proxy_for("http://one/v1", {"HTTP_PROXY": proxy})
    assert "hunter2" not in str(caught.value)


def connect(url: str, **options: Any) -> str:
    """The text of one completion."""

    async def go() -> str:
        model = await ServedModel.connect("m", [url], patience=0.0, timeout=5.0, **options)
        try:
            return (await model.generate(Request((Message("user", "hello"),)))).text
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.mark.parametrize("no_proxy", ["[::1]", "fd00::/8,::1/128", "*:*", ""])
def test_a_server_of_this_machine_is_reached_whatever_the_environment_says(no_proxy, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with stub_servers(says("hi")) as [server]:
        assert connect(server.url) == "hi"


def test_socks_without_its_package_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")
    with pytest.raises(ModelMisconfigured, match=r"pip install 'httpx\[socks\]'"):
        connect("http://far.example/v1")


def test_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = StubServer(says("six"), host="::1")
    try:
        assert connect(server.url) == "six"
    finally:
        server.stop()


# -- keys ---------------------------------------------------------------------------------------------------------


def test_each_agent_may_have_a_key_of_its_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "the-default-key")
    monkeypatch.setenv("OTHER_API_KEY", KEY)
    with stub_servers(says("hi")) as [server]:
        connect(server.url)
        connect(server.url, api_key_env="OTHER_API_KEY")
        assert [seen["Authorization"] for seen in server.headers] == ["Bearer the-default-key", f"Bearer {KEY}"]


@pytest.mark.parametrize("key", ["sk-1\n", " sk-1", "sk 1", "sk-é", "sk-1\r\nX-Evil: 1"])
def test_a_key_that_cannot_be_sent_is_a_sentence(key: str, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ModelMisconfigured, match="the key in OPENAI_API_KEY holds a blank") as caught:
        read_key()
    assert "sk" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("SOME_API_KEY", raising=False)
    with pytest.raises(ModelMisconfigured, match="api_key_env names SOME_API_KEY, which is not set"):
        read_key("SOME_API_KEY")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 200, 307])
def test_a_server_that_repeats_the_key_does_not_get_it_said(status: int, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = {"error": {"message": f"Incorrect API key provided: {KEY}. See http://u:p@x.org/a?k={KEY}", "code": KEY}}
    with (
        caplog.at_level(logging.DEBUG, logger="agents"),
        stub_servers(lambda body: Reply(status, said, {"Location": f"http://u:{KEY}@x.org/?k={KEY}"})) as [server],
        pytest.raises(ModelError) as caught,
    ):
        connect(server.url)
    assert KEY not in str(caught.value)
    assert "u:p" not in str(caught.value)
    assert KEY not in caplog.text


def test_a_server_that_repeats_the_key_elsewhere(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with stub_servers(says(f"your key is {KEY}")) as [server]:
        assert connect(server.url) == "your key is [key]"
    with stub_servers(says(""), listing={"data": [{"id": KEY}]}) as [server], pytest.raises(ModelError) as caught:
        connect(server.url)
    assert KEY not in str(caught.value)
    with stub_servers(lambda body: Reply(200, KEY.encode())) as [server], pytest.raises(ModelError) as caught:
        connect(server.url)
    assert KEY not in str(caught.value)


def test_texts_without_secrets_stay_as_they_are():
    assert (
        redact("move [1 2], see http://127.0.0.1:8000/v1 (why? #3)")
        == "move [1 2], see http://127.0.0.1:8000/v1 (why? #3)"
    )
