"""Certificates that are given, and https from end to end: the address, the page and a viewer."""

from __future__ import annotations

import os
import signal
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import framewire as fw
from framewire.options import EngineOptions
from framewire.tls import checked_files, server_context
from tests.certificates import write_certificate
from tests.viewer import connected, eventually, flat, same


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path)


def options(given: Any) -> EngineOptions:
    return EngineOptions(tls=given)


def test_files_are_given_as_text_or_paths_one_or_two(files: tuple[Path, Path], tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text("".join(file.read_text() for file in files))
    texts = tuple(map(str, files))
    assert options(files).tls == options(list(files)).tls == options(texts).tls == texts
    assert options(both).tls == options(str(both)).tls == (str(both),)
    assert checked_files(texts) == texts and checked_files((str(both),)) == (str(both),) and checked_files(()) == ()
    assert options(files).in_clear_text is False
    assert EngineOptions(host="0.0.0.0", tls=texts).in_clear_text is False
    assert EngineOptions(host="0.0.0.0").in_clear_text is True


def test_paths_are_kept_whole_since_an_engine_may_start_in_another_folder(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checked_files(("localhost.pem", "~/localhost.key")) == tuple(map(str, files))


def test_what_is_no_certificate_and_key_is_refused_in_one_line(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = map(str, files)
    _, other = write_certificate(tmp_path, "other")
    _, locked = write_certificate(tmp_path, "locked", password="open sesame")
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nPRIVATE KEY-----\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for given, what in (
        ((certificate, key, key), "3 files"),
        ((str(tmp_path / "none.pem"), key), "No such file"),
        ((str(tmp_path), key), "Is a directory"),
        (("nul\0", key), "null byte"),
        ((key, key), "holds no certificate"),
        ((certificate,), "holds no private key"),
        ((certificate, certificate), "holds no private key"),
        ((str(tmp_path / "binary"), key), "holds no certificate"),
        ((certificate, str(other)), "is not that of the certificate"),
        ((certificate, str(locked)), "has a password"),
        ((str(tmp_path / "broken"),), "are no certificate and its key"),
    ):
        with pytest.raises(ValueError, match=what) as refused:
            checked_files(given)
        assert "\n" not in str(refused.value) and str(refused.value).startswith("tls"), given


def test_a_file_that_is_gone_since_is_refused_as_well(files: tuple[Path, Path]) -> None:
    files[1].unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        server_context(tuple(map(str, files)))


def test_old_versions_of_tls_are_refused(files: tuple[Path, Path]) -> None:
    context = server_context(tuple(map(str, files)))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize("call", [lambda tls: fw.serve(64, 48, port=0, tls=tls), lambda tls: fw.serve_server(tls=tls),
                                  lambda tls: fw.Server(tls=tls)], ids=("serve", "serve_server", "Server"))  # fmt: skip
def test_it_is_looked_at_before_an_engine_is_started(call: Any) -> None:
    with pytest.raises(ValueError, match=r"tls: '.*none.pem' cannot be read"):
        call(("none.pem", "none.key"))


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_page_and_viewer_use_https_and_wss(files: tuple[Path, Path], engine: Any) -> None:
    trusting = ssl.create_default_context(cafile=str(files[0]))
    with fw.serve_server(port=0, tls=files, engine=engine) as server:
        display = server.add_stream("default", 64, 48)
        await display
        display.publish(flat(64, 48, 7))
        assert display.url.startswith(f"https://127.0.0.1:{display.port}/#token=")
        assert display.ws_url == f"wss://127.0.0.1:{display.port}/ws"
        assert f"https://127.0.0.1:{display.port}/" in repr(server)
        async with aiohttp.ClientSession() as client, client.get(display.url, ssl=trusting) as page:
            assert page.status == 200 and "<title>" in await page.text()
        async with connected(display.ws_url, server.token, ssl=trusting) as viewer:
            await viewer.subscribe("default")
            assert same(await viewer.unit(), flat(64, 48, 7))
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{display.port}/"):
                """Nothing goes in clear text."""


def test_the_same_files_are_the_same_engine(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files[0].parent)
    with fw.serve(64, 48, name="one", port=0, tls=files, engine="thread") as one:
        with fw.serve(64, 48, name="two", port=0, tls=(files[0].name, files[1].name), engine="thread") as two:
            assert one.server is two.server


async def test_an_engine_that_finds_no_certificate_when_it_starts_again_says_so(files: tuple[Path, Path]) -> None:
    server = fw.serve_server(port=0, tls=files)
    try:
        await server
        files[1].unlink()
        pid = server._host.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: server.failure)
        assert server.failure and server.failure.startswith("tls: ") and "cannot be read" in server.failure
    finally:
        await server.aclose()
