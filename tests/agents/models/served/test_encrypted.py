"""Servers behind TLS and proxies: real handshakes, a certificate authority of our own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from agents.models.model import Message, ModelError, Request
from agents.models.served.model import ServedModel
from tests.support.proxies import proxy
from tests.support.stub_server import StubServer, says

FAR = "far.example"


def ask(url: str) -> str:
    async def go() -> str:
        model = await ServedModel.connect("m", [url], patience=0.0, timeout=5.0)
        try:
            return (await model.generate(Request((Message("user", "hello"),)))).text
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[StubServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", FAR).configure_cert(context)
    running = StubServer(says("sealed"), encrypted=context)
    yield running
    running.stop()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


@pytest.mark.usefixtures("trusted")
def test_a_server_whose_authority_is_trusted_answers(server: StubServer):
    assert ask(server.url) == "sealed"


def test_a_certificate_that_nobody_vouches_for_is_a_sentence(server: StubServer):
    with pytest.raises(ModelError, match=r"certificate is not trusted.*SSL_CERT_FILE"):
        ask(server.url)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_a_sentence(server: StubServer):
    with pytest.raises(ModelError, match=r"certificate is not trusted.*localhost"):
        ask(server.url.replace("127.0.0.1", "localhost"))


def test_a_plain_server_asked_for_encryption_is_a_sentence():
    plain = StubServer(says("plain"))
    try:
        with pytest.raises(ModelError, match=r"does not speak TLS.*http://"):
            ask(plain.url.replace("http:", "https:"))
    finally:
        plain.stop()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_far_server_is_reached_through_a_proxy(server: StubServer, scheme: str, monkeypatch: pytest.MonkeyPatch):
    port = server.http.server_port
    with proxy(scheme, {FAR: ("127.0.0.1", port)}) as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY" if scheme == "http" else "ALL_PROXY", url)
        assert ask(f"https://{FAR}:{port}") == "sealed"
        assert set(asked) == {(FAR, port)}
