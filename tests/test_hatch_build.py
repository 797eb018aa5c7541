"""The build hook: when it builds the browser client and when not; installing what it packs needs no Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(hatch_build.__file__).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with one source, and a client built after it."""
    write(tmp_path / "js/src/core/session.ts", at=1000)
    for name in hatch_build.BUILT:
        write(tmp_path / "src/framewire/static" / name, at=2000)
    return tmp_path


def write(file: Path, *, at: int) -> None:
    """Set the file's time of change."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (at, at))


def test_a_client_newer_than_its_sources_is_good(checkout: Path):
    assert hatch_build.stale(checkout) is None


@pytest.mark.parametrize("name", hatch_build.BUILT)
def test_one_missing_file_makes_the_client_missing(checkout: Path, name: str):
    (checkout / "src/framewire/static" / name).unlink()
    assert hatch_build.stale(checkout) == "missing"


@pytest.mark.parametrize("source", ["js/src/core/session.ts", "js/scripts/build.mjs", "package-lock.json"])
def test_a_source_newer_than_any_built_file_makes_it_out_of_date(checkout: Path, source: str):
    write(checkout / "src/framewire/static/page.js", at=3000)
    write(checkout / source, at=2500)
    assert hatch_build.stale(checkout) == "out of date"


def test_an_sdist_ignores_the_times_of_files(checkout: Path):
    write(checkout / "js/src/core/session.ts", at=9000)
    write(checkout / "PKG-INFO", at=1)
    assert hatch_build.stale(checkout) is None


def test_without_node_a_checkout_says_what_to_install(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    (checkout / "src/framewire/static/page.js").unlink()
    monkeypatch.setenv("PATH", str(checkout))
    hook = hatch_build.ClientHook(str(checkout), {}, None, None, str(checkout), "wheel")  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match=r"client in .* is missing, and building it needs Node 20"):
        hook.initialize("standard", {})


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """A command's output; a failure shows its output."""
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_sdist_and_the_wheel_made_from_it_need_no_node(tmp_path: Path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        tmp_path,
        cwd=unpacked,
        PATH=str(tmp_path),
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert {f"framewire/static/{name}" for name in hatch_build.BUILT} <= set(zipfile.ZipFile(wheel).namelist())

    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    code = "import framewire; print(framewire.__file__)"
    where = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site), PATH=str(tmp_path))
    assert Path(where.strip()).is_relative_to(site)


def test_a_wheel_holds_the_package_and_nothing_beside_it(tmp_path: Path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    assert "framewire/py.typed" in packed
    assert {name.partition("/")[0] for name in packed if ".dist-info/" not in name} == {"framewire"}
