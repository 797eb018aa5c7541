"""The rules that hold for every file: where it is, how long, how it opens, what it may import, where its tests are.

Must not know what any file does.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import framewire
from framewire._version import __version__

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "framewire"
TESTS = ROOT / "tests"

# Public names, kept by hand: the commit that adds a name here decides to support it.
PUBLIC_NAMES = {
    "ClosedError",
    "Display",
    "EncoderError",
    "EngineError",
    "FrameTrack",
    "FramewireError",
    "FramewireWarning",
    "InputEvent",
    "PublishError",
    "PublishLoop",
    "Server",
    "ViewerEvent",
    "__version__",
    "publish_loop",
    "serve",
    "serve_server",
    "show",
}

# Source without a test file of its own, and why.
UNTESTED = {
    "__init__.py": "the public names, and test_house holds them",
}
# Tests that mirror no module of the package, and why.
UNMIRRORED = {
    "test_house.py": "the rules themselves",
    "engine/http/test_strangers.py": "engine/http/server.py and accept.py together, against those without the token",
    "rtc/test_simulated_links.py": "the whole send side, rtc/estimate/ and rtc/send/ together, over simulated links",
    "rtc/test_hostile_viewers.py": "rtc/peer.py and rtc/stack/ together, against what comes from a viewer's address",
    "rtc/estimate/test_estimator_probes.py": "rtc/estimate/estimator.py, the half of its tests that is about probes",
    "link/test_supervisor_in_need.py": "link/supervisor.py, the half of its tests that is about shortages",
    "fuzz/test_fuzz.py": "all that comes from outside, changed at random: several files of the package in each target",
    "fuzz/test_fuzzer.py": "mirrors fuzz/fuzzer.py, beside the package",
    "test_attacks.py": "a whole program, its engine and its port, against those without the token",
    "test_arguments.py": "what `serve` is given, through the call, the link and a running engine",
    "test_exposure.py": "serving.py, the engine's process and its viewers together, by sockets and packets",
    "test_lifetimes.py": "displays, hosts and the engine's process together, over kills and forks",
    "test_examples.py": "runs examples/, beside the package",
    "test_surroundings.py": "whole programs, in the surroundings of tests/surroundings.py",
    "test_reruns.py": "serving.py, displays and the engine's process together, over signals and cells run again",
    "test_transcripts.py": "plays signaling/transcripts against engine/viewer/session.py",
    "test_contract.py": "plays signaling/ against wire.py and engine/viewer/session.py together",
    "test_hatch_build.py": "mirrors hatch_build.py, beside the package",
    "test_mutants.py": "mirrors scripts/mutants.py, beside the package",
    "test_teeth.py": "mirrors scripts/teeth.py and SECURITY.md, beside the package",
    "test_mutations.py": "mirrors scripts/mutations.py, beside the package",
    "test_publish_page.py": "mirrors scripts/publish_page.py, beside the package",
    "test_coming_from.py": "mirrors docs/coming-from.md and scripts/coming_from.py, beside the package",
    "test_pins.py": "mirrors scripts/pins.py, beside the package",
    "test_tuning.py": "mirrors scripts/tuning.py, beside the package",
    "test_words.py": "mirrors docs/glossary.md",
    "test_types.py": "what type checkers know of the whole package",
    "test_upstream.py": "mirrors scripts/upstream.py, beside the package",
    "benchmarks/test_link.py": "mirrors benchmarks/, beside the package",
    "benchmarks/test_link_model.py": "mirrors benchmarks/, beside the package",
    "benchmarks/test_numbers.py": "mirrors benchmarks/, beside the package",
}

MAX_FILE_LINES = 500
# Files that are longer and yet one thing, and why.
LONG_FILES = {
    "js/tests/plan.test.ts": "one state machine, scenario by scenario",
    "tests/engine/viewer/test_session.py": "one state machine, event by event",
    "tests/engine/viewer/test_viewer.py": "one viewer, from its opening to its end",
    "tests/surroundings.py": "one list, case by case",
}
MAX_FUNCTION_LINES = 60

# What `import framewire` may not load: each costs start-up time.
HEAVY = ("aiohttp", "aioice", "aiortc", "anywidget", "av", "cv2", "IPython", "ipywidgets")

SOURCE_SUFFIXES = {".py", ".ts", ".mjs", ".css", ".sh"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".toml", ".json", ".txt", ".html", ".ipynb", ".yml", ".yaml", ""}


def tracked() -> list[Path]:
    """Every file in the repository, those of the next commit included; none outside of a checkout."""
    if not (ROOT / ".git").exists():
        return []
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [file for name in listed.split("\0") if name and (file := ROOT / name).is_file()]


def named(file: Path) -> str:
    """The file as a complaint calls it."""
    return str(file.relative_to(ROOT))


MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [file for file in tracked() if file.suffix in SOURCE_SUFFIXES]
PYTHON = [file for file in SOURCES if file.suffix == ".py"]
TEXTS = [file for file in tracked() if file.suffix in TEXT_SUFFIXES]


def has_logic(module: Path) -> bool:
    """Whether a module has functions with a body, not only constants, dataclasses and protocols."""
    walked = ast.walk(parsed(module))
    bodies = [node.body for node in walked if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(
        not isinstance(last := body[-1], ast.Expr) or not isinstance(last.value, ast.Constant) for body in bodies
    )


def mirror(module: Path) -> Path:
    """Where the tests of a module live: src/framewire/rtc/peer.py → tests/rtc/test_peer.py."""
    inside = module.relative_to(PACKAGE)
    return TESTS / inside.parent / f"test_{inside.stem.strip('_')}.py"


def test_every_module_has_a_test_file_of_its_name():
    untested = {
        str(module.relative_to(PACKAGE)) for module in MODULES if has_logic(module) and not mirror(module).is_file()
    }
    assert sorted(untested - UNTESTED.keys()) == []


def test_every_test_file_mirrors_a_module():
    mirrors = {mirror(module) for module in MODULES}
    mirrors |= {TESTS / "benchmarks" / f"test_{module.stem}.py" for module in (ROOT / "benchmarks").rglob("*.py")}
    here = {file for file in TESTS.rglob("test_*.py") if not file.is_relative_to(TESTS / "e2e")}
    strays = {str(file.relative_to(TESTS)) for file in here - mirrors}
    assert sorted(strays - UNMIRRORED.keys()) == []


def test_every_exception_to_the_mirror_names_a_file():
    gone = [name for name in UNTESTED if not (PACKAGE / name).is_file()]
    gone += [name for name in UNMIRRORED if not (TESTS / name).is_file()]
    assert not gone


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, framewire; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert loaded.strip() == ""


def test_the_public_names_are_the_ones_decided_on():
    assert set(framewire.__all__) == PUBLIC_NAMES
    assert all(hasattr(framewire, name) for name in PUBLIC_NAMES)
    assert set(dir(framewire)) == PUBLIC_NAMES | {"notebook"}, "what a notebook completes"


def test_one_version_everywhere():
    package = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert package["version"] == lock["version"] == __version__


def test_no_file_is_longer_than_a_review_would_like():
    # A question rather than a law: is it one thing? Then name it in LONG_FILES; else divide it.
    lines = {named(file): len(file.read_text().splitlines()) for file in SOURCES if not file.name.endswith(".gen.ts")}
    long = {name: count for name, count in lines.items() if count > MAX_FILE_LINES}
    assert {name: count for name, count in long.items() if name not in LONG_FILES} == {}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with its length in lines, docstring apart."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1


def test_no_function_needs_scrolling():
    lengths = {f"{named(file)}: {name}": lines for file in PYTHON for name, lines in functions(file)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def opens_with_a_sentence(file: Path) -> bool:
    """Whether a docstring or a comment is the first thing in a file."""
    if file.suffix == ".py":
        return bool(ast.get_docstring(parsed(file)))
    return file.read_text().lstrip().startswith(("/*", "//", "#"))


def test_every_file_opens_by_saying_what_it_is():
    assert [named(file) for file in SOURCES if not opens_with_a_sentence(file)] == []


def test_pins_name_no_place_to_fetch_from():
    # A pin is a name, a version and a hash; where it comes from is the reader's own configuration.
    for name in ("requirements/dev.txt", "package-lock.json", "package.json", ".npmrc", "pyproject.toml"):
        text = (ROOT / name).read_text()
        assert "resolved" not in re.findall(r'"(\w+)":', text), name
        assert not re.search(r"--(extra-)?index-url|--find-links|registry\s*=|file://", text), name
        assert re.findall(r"https?://\S+\.(?:tgz|whl|tar\.gz|zip)", text) == [], name


def test_what_is_installed_has_the_hash_of_its_pin():
    pins = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements" / "dev.txt").read_text())
    assert [pin.partition(" ")[0] for pin in pins if "==" in pin and "--hash=sha256:" not in pin] == []
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    makefile = (ROOT / "Makefile").read_text()
    assert "install --require-hashes -r requirements/dev.txt" in makefile and "npm ci" in makefile


# Paths of the machine that a file was written on.
DESK = re.compile(r"(?<![\w.])/(?:work|root|home)/\w|/tmp/\w")  # fmt: skip


def test_no_file_holds_a_path_of_its_authors_machine():
    found = {named(file): DESK.findall(file.read_text()) for file in TEXTS if file != Path(__file__)}
    assert {name: paths for name, paths in found.items() if paths} == {}


# docs/tuning.md is generated: tests/test_tuning.py is for what it names.
PAGES = [file for file in tracked() if file.suffix == ".md" and file.name != "tuning.md"]


def test_the_files_that_a_page_links_to_exist():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    gone = [(page, link) for page, link in links if "://" not in link and not (page.parent / link).exists()]
    assert [f"{named(page)}: {link}" for page, link in gone] == []


def test_the_source_files_that_a_page_names_exist():
    folders = (ROOT, PACKAGE, ROOT / "js" / "src", ROOT / "benchmarks", ROOT / "signaling")
    gone = []
    for page in PAGES:
        names = re.findall(r"`([\w/.-]+\.(?:py|ts|json|mjs))`", page.read_text())
        gone += [f"{named(page)}: {name}" for name in names if not any((each / name).is_file() for each in folders)]
    assert gone == []


def test_the_tests_that_a_page_names_exist():
    tests = [(page, *test) for page in PAGES for test in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text())]
    gone = [f"{named(page)}: {file}::{name}" for page, file, name in tests if f"def {name}(" not in read(ROOT / file)]
    assert gone == []


@cache
def parsed(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text())


@cache
def read(file: Path) -> str:
    """A file's text; nothing where there is no such file."""
    return file.read_text() if file.is_file() else ""


def contract(name: str) -> dict[str, list[str]]:
    """The import contract whose name begins so."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found: list[dict[str, list[str]]] = [each for each in contracts if each["name"].startswith(name)]
    assert len(found) == 1, f"one import contract is called {name!r}"
    return found[0]


def test_every_file_that_is_pure_stays_pure():
    # import-linter holds the files that the contract names; this holds the contract to naming them all.
    pure = contract("Pure core")
    impure = set(pure["forbidden_modules"])
    graph = {dotted(module): set(imports(module)) for module in MODULES if module.stem != "__init__"}
    tainted = {name for name, names in graph.items() if any(each.partition(".")[0] in impure for each in names)}
    while grown := {name for name, names in graph.items() if names & tainted} - tainted:
        tainted |= grown
    named_pure = {name for pattern in pure["source_modules"] for name in fnmatch.filter(graph, pattern)}
    assert sorted(graph.keys() - tainted - {"framewire._version"}) == sorted(named_pure)


def dotted(module: Path) -> str:
    """The name a module is imported by."""
    return ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts)


def imports(module: Path) -> Iterator[str]:
    """The names a module imports, wherever in it, dotted; `from a import b` may be module a or module a.b."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_foreign_library_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[ ]", line)[0] for line in project["dependencies"]}
    imported = {name.partition(".")[0] for module in MODULES for name in imports(module)}
    # OpenSSL, aioice and pylibsrtp are private halves of aiortc; cv2 is an extra, and its absence is handled.
    others = {"OpenSSL", "aioice", "cv2", "framewire", "pylibsrtp"} | set(sys.stdlib_module_names)
    assert imported - others == declared
