"""The rules of the house that the files show: who imports whom, what is public, what is packaged."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
SOURCE = sorted(
    path for folder in ("fastnn", "kernels", "scripts", "bench") for path in ROOT.glob(f"{folder}/**/*.py")
)
BINARY = {".gz", ".npz", ".png", ".pyc", ".safetensors"}


def name(path):
    return path.relative_to(ROOT).as_posix()


def of(folder):
    return [path for path in SOURCE if name(path).startswith(folder + "/")]


def package_of(path):
    """Return the dotted name of the package that the module in `path` is in, as installed."""
    parts = path.relative_to(ROOT).parent.parts
    return ".".join(("fastnn", *parts) if parts[0] == "kernels" else parts)


def imports(path):
    """Return the absolute dotted names that a module imports, at its top or anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                parents = package_of(path).split(".")
                base = [*parents[: len(parents) - node.level + 1], *base]
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return found


def within(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def test_the_rules_look_at_something():
    assert {package_of(path) for path in SOURCE} >= {
        "fastnn",
        "fastnn.kernels",
        "fastnn.reference",
        "fastnn.cli",
    }
    assert "numba.core.config" in imports(ROOT / "kernels" / "_jit.py")
    assert "fastnn.kernels" in imports(ROOT / "fastnn" / "backends" / "jit.py")


@pytest.mark.parametrize("path", of("kernels"), ids=name)
def test_kernels_import_only_numpy_numba_and_llvmlite(path):
    allowed = {"numpy", "numba", "llvmlite", "fastnn.kernels", *sys.stdlib_module_names}
    assert [module for module in imports(path) if not within(module, allowed)] == []


@pytest.mark.parametrize("path", of("fastnn/reference"), ids=name)
def test_the_reference_is_plain_python(path):
    allowed = {"fastnn.reference", *sys.stdlib_module_names}
    assert [module for module in imports(path) if not within(module, allowed)] == []


def test_kernels_are_reached_through_the_backends():
    users = {
        name(path)
        for path in of("fastnn")
        if any(within(module, ["fastnn.kernels"]) for module in imports(path))
    }
    showing = {
        "fastnn/cli/bench.py",
        "fastnn/cli/measure.py",
        "fastnn/cli/info.py",
    }  # they measure and describe them
    backends = {name(path) for path in of("fastnn/backends")}
    assert users <= {"fastnn/__init__.py"} | backends | showing
    assert "fastnn/backends/jit.py" in users


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_files_are_small(path):
    assert len(path.read_text().splitlines()) < 400


@pytest.mark.parametrize("path", [*of("fastnn"), *of("kernels")], ids=name)
def test_the_library_neither_prints_nor_runs_text(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    called = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "input", "breakpoint"}
    if not name(path).startswith(("fastnn/cli/", "fastnn/progress.py")):
        assert "print" not in called


@pytest.mark.parametrize("path", of("fastnn"), ids=name)
def test_no_file_of_a_user_is_unpickled(path):
    pickling = {"pickle", "marshal", "shelve", "joblib", "cloudpickle"}
    assert [module for module in imports(path) if within(module, pickling)] == []


def test_options_of_the_compiler_stand_in_one_place():
    compilers = re.compile(r"\bnumba\.(n?jit|vectorize|guvectorize)\b|\btargetoptions=")
    texts = {name(path): " ".join([path.read_text(), *imports(path)]) for path in SOURCE}
    assert [path for path, text in texts.items() if compilers.search(text)] == ["kernels/_jit.py"]


def test_import_is_light(tmp_path):
    script = "import json, sys, fastnn; print(json.dumps(list(sys.modules)))"
    line = [sys.executable, "-P", "-c", script]
    output = subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    heavy = {"kernels", "fastnn.kernels", "numba", "llvmlite", "rich", "safetensors", "scipy", "sklearn"}
    assert heavy & set(json.loads(output)) == set()


def test_kernels_are_no_package_of_their_own(tmp_path):
    script = "import fastnn.kernels, importlib.util; print(importlib.util.find_spec('kernels'))"
    line = [sys.executable, "-P", "-c", script]
    assert subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout == "None\n"
    assert not (ROOT / "fastnn" / "kernels").exists()
    assert not (ROOT / "conftest.py").exists()


@pytest.mark.parametrize("public", sorted(fastnn.__all__))
def test_public_names_are_explained(public):
    thing = getattr(fastnn, public)
    assert (thing.__doc__ or "").strip()
    members = vars(thing) if isinstance(thing, type) else {}
    for member, value in members.items():
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            assert (value.__doc__ or "").strip(), f"{public}.{member}"


def test_every_package_is_packaged():
    with open(ROOT / "pyproject.toml", "rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = {package_of(path) for path in (*of("fastnn"), *of("kernels")) if path.name == "__init__.py"}
    assert sorted(listed) == sorted(found)


def test_no_path_of_anybodys_machine():
    texts = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".venv")]
    texts += [
        path
        for folder in ("fastnn", "kernels", "tests", "bench", "scripts", ".ci")
        for path in ROOT.glob(f"{folder}/**/*")
    ]
    personal = re.compile(
        r"/(?:home|Users)/(?!ada\b)\w|/root/\w|[A-Z]:\\Users"
    )  # ada: the tests' made-up user
    found = [
        f"{name(path)}:{number}"
        for path in texts
        if path.is_file() and path.suffix not in BINARY
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if personal.search(line)
    ]
    assert found == []
