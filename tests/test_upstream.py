"""Downloads of aiortc's and aioice's tests: exactly what is locked, or the reason why not."""

from __future__ import annotations

import importlib.util
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "upstream.py"

LOCK = """\
abc-more==2.0 \\
    --hash=sha256:00
    # via nothing
abc==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via def
def==3.0 \\
    --hash=sha256:cc
"""


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """The script, with a lock file and a cache of its own."""
    if not SCRIPT.is_file():
        pytest.skip("scripts/ is not here")
    spec = importlib.util.spec_from_file_location("upstream", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "lock.txt").write_text(LOCK)
    monkeypatch.setattr(module, "LOCK", tmp_path / "lock.txt")
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    return module


def test_a_release_is_requested_with_all_its_hashes(upstream):
    assert upstream.locked(LOCK, "abc", "1.0") == "abc==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


@pytest.mark.parametrize(("name", "pinned"), [("abc", "1.0"), ("abcd", "nothing")])
def test_another_release_than_the_locked_one_is_not_fetched(upstream, name, pinned):
    with pytest.raises(LookupError, match=f"pins {pinned}"):
        upstream.fetch(name, "1.1")


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(1, "pip"), subprocess.TimeoutExpired("pip", 120)], ids=["fails", "hangs"]
)
def test_a_failed_download_is_reported_and_fails(upstream, monkeypatch, capsys, error):
    def run(*args, **kwargs):
        raise error

    lock = "".join(f"{name}=={version(name)} \\\n    --hash=sha256:aa\n" for name in upstream.SUITES)
    upstream.LOCK.write_text(lock)
    monkeypatch.setattr(upstream.subprocess, "run", run)
    assert upstream.main() == 2
    assert "could not be downloaded" in capsys.readouterr().err
    assert not upstream.CACHE.exists()


def test_a_second_call_downloads_nothing(upstream, monkeypatch):
    monkeypatch.setattr(upstream.subprocess, "run", lambda *args, **kwargs: pytest.fail("pip was called"))
    folder = upstream.CACHE / "abc-1.0"
    (folder / "tests").mkdir(parents=True)
    assert upstream.fetch("abc", "1.0") == folder
