"""scripts/run.py: a set-up made once, that repairs itself and waits its turn; commands passed on whole.

A stand-in replaces pip, so that no test needs the network; .ci/run does the real thing on a clean checkout.
"""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]

# Used as `python3 scripts/run.py` in a copy of the checkout: the same script with other commands, and with
# the code in FAKE_PIP in place of `pip install`.
DRIVER = """
import json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts"))
import run

real_call = run.call

def call(command, **streams):
    if "pip" not in command and "ensurepip" not in command:
        return real_call(command, **streams)
    if "install" not in command:
        return int(os.environ.get("NO_PIP", 0))
    with open(os.path.join(run.ROOT, "installs"), "a") as log:
        log.write(json.dumps(command) + "\\n")
    open(os.path.join(run.VENV, "half-done"), "w").close()
    return real_call([sys.executable, "-c", os.environ.get("FAKE_PIP", "")])

run.call = call
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), sys.prefix]))"
run.COMMANDS = {
    "show": run.Command("", [["-c", SHOW]], [], False),
    "show-root": run.Command("", [["-c", SHOW]], ["test"], True),
    "code": run.Command("", [["-c", "import sys; exec(sys.argv[1])"]], [], False),
    "two": run.Command("", [["-c", "import sys; exec(sys.argv[1])"], ["-c", SHOW]], [], False),
}
exec(os.environ.get("BEFORE", ""))
sys.exit(run.main(sys.argv[1:]))
"""


class Checkout:
    """A copy of what run.py needs of the checkout, and its calls."""

    def __init__(self, root):
        self.root = root
        self.venv = root / ".venv"
        (root / "scripts").mkdir(parents=True)
        for name in ("pyproject.toml", "scripts/run.py", "scripts/constraints.txt"):
            shutil.copy(ROOT / name, root / name)
        (root / "drive.py").write_text(DRIVER)

    def start(self, *arguments, cwd=None, **variables):
        return subprocess.Popen(
            [sys.executable, self.root / "drive.py", *arguments],
            cwd=cwd or self.root,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        process.stdout_text, process.stderr_text = process.communicate(timeout=60)
        return process

    def installs(self):
        """The calls of `pip install` so far."""
        log = self.root / "installs"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "a checkout [of] fastnn & more")


@pytest.fixture
def ready(checkout):
    assert checkout.run("show").returncode == 0
    (checkout.root / "installs").unlink()
    return checkout


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Set-up.


def test_first_call_installs_and_the_second_does_not(checkout):
    first = checkout.run("show")
    assert first.returncode == 0
    assert first.stderr_text.startswith("Setting up .venv for 'show'; this takes about a minute, once ...\n")
    assert [command[-1] for command in checkout.installs()] == ["setuptools", "."]
    assert all("-c" in command and "--no-user" in command for command in checkout.installs())
    second = checkout.run("show")
    assert (second.returncode, second.stderr_text) == (0, "")
    assert len(checkout.installs()) == 2


def test_a_command_that_needs_more_adds_it(ready):
    assert "Updating" in ready.run("show-root").stderr_text
    assert ready.installs()[-1][-1] == ".[test]"
    assert ready.run("show").stderr_text == ""
    (ready.root / "pyproject.toml").write_text("# changed")
    assert "Updating" in ready.run("show").stderr_text
    assert ready.installs()[-1][-1] == ".[test]"
    assert (ready.venv / "half-done").exists()


def test_the_second_call_is_quick(ready):
    def seconds():
        start = time.perf_counter()
        assert ready.run("code", "pass").returncode == 0
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.5


def test_failed_installation(checkout):
    failed = checkout.run("show", FAKE_PIP="import sys; sys.exit('no index')")
    assert (failed.returncode, failed.stdout_text) == (2, "")
    assert "no index" in failed.stderr_text
    assert failed.stderr_text.splitlines()[-1].startswith("Set-up failed")
    again = checkout.run("show", FAKE_PIP="import os; print(os.listdir('.venv'))")
    assert again.returncode == 0
    assert "unfinished" in again.stderr_text


@pytest.mark.parametrize("everything", [True, False], ids=["with pip", "pip goes on alone"])
def test_killed_in_the_middle_of_the_installation(checkout, everything):
    slow = "import time; time.sleep(1); open('pip ended', 'w')"
    process = checkout.start("show", FAKE_PIP=slow)
    wait_for(lambda: checkout.installs())
    os.killpg(process.pid, signal.SIGKILL) if everything else process.kill()
    process.wait()
    (checkout.venv / "leftover").touch()
    again = checkout.run("show", FAKE_PIP="import os; assert not os.path.exists('.venv/leftover')")
    process.communicate()
    assert again.returncode == 0
    assert "unfinished" in again.stderr_text
    assert (checkout.root / "pip ended").exists() == (not everything)
    assert ("waiting" in again.stderr_text) == (not everything)
    assert checkout.run("show").stderr_text == ""


def test_killed_at_any_moment(checkout):
    for delay in (0.01, 0.05, 0.1, 0.15, 0.2, 0.3):
        process = checkout.start("show", FAKE_PIP="import time; time.sleep(0.1)")
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert checkout.run("show").returncode == 0
    assert not list(checkout.root.glob(".venv.2*")), "a broken .venv of ours was taken for somebody else's"


def test_killed_while_the_first_stamp_is_written(checkout):
    killed = checkout.run("show", BEFORE="os.replace = lambda *paths: os._exit(9)")
    assert killed.returncode == 9
    assert [path.name for path in checkout.venv.iterdir()] == ["fastnn-setup.json.new"]
    assert "unfinished" in checkout.run("show").stderr_text
    assert not list(checkout.root.glob(".venv.2*"))


def test_interrupted_set_up(checkout):
    process = checkout.start("show", FAKE_PIP="import time; time.sleep(30)")
    wait_for(lambda: checkout.installs())
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted." in stderr.splitlines()
    assert "run.py" not in stderr
    assert checkout.run("show").returncode == 0


def test_two_at_once_install_once(checkout):
    processes = [checkout.start("show", FAKE_PIP="import time; time.sleep(0.5)") for _ in range(3)]
    messages = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(checkout.installs()) == 2
    assert sum("waiting" in message for message in messages) == 2


def test_a_venv_of_somebody_else_is_set_aside(checkout):
    checkout.venv.mkdir()
    (checkout.venv / "precious").touch()
    process = checkout.run("show")
    assert process.returncode == 0
    (aside,) = checkout.root.glob(".venv.2*")
    assert (aside / "precious").exists()
    assert aside.name in process.stderr_text


def test_a_moved_checkout_is_set_up_anew(ready):
    ready.root.rename(ready.root.parent / "moved")
    moved = Checkout.__new__(Checkout)
    moved.root, moved.venv = ready.root.parent / "moved", ready.root.parent / "moved" / ".venv"
    assert "another Python or folder" in moved.run("show").stderr_text
    assert moved.run("show").stderr_text == ""


def test_an_environment_without_its_python_is_set_up_anew(ready):
    shutil.rmtree(ready.venv / "bin")
    again = ready.run("show")
    assert again.returncode == 0
    assert "damaged" in again.stderr_text


def test_another_python_is_set_up_anew(ready):
    other = {"BEFORE": "sys.version = '3.99.0'"}
    assert "another Python or folder" in ready.run("show", **other).stderr_text
    assert ready.run("show", **other).stderr_text == ""
    assert "another Python or folder" in ready.run("show").stderr_text


def test_no_pip_anywhere(checkout):
    process = checkout.run("show", NO_PIP="1")
    assert process.returncode == 2
    assert process.stderr_text.splitlines()[-1].startswith("This Python has no pip")
    assert checkout.run("show").returncode == 0


def test_a_checkout_that_cannot_be_written_to(checkout):
    (checkout.root / ".venv.lock").mkdir()  # root, too, cannot write to a folder as to a file
    process = checkout.run("show")
    assert process.returncode == 2
    assert process.stderr_text.startswith("This checkout cannot be written to")
    assert len(process.stderr_text.splitlines()) == 1


def test_old_python():
    script = "import sys; sys.version_info = (3, 8, 18); import run; sys.exit(run.main(['train']))"
    line = [sys.executable, "-c", script]
    process = subprocess.run(line, cwd=ROOT / "scripts", capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == "fastnn needs Python 3.11 or newer, and this is Python 3.8.\n"
    source = (ROOT / "scripts" / "run.py").read_text()
    ast.parse(source, feature_version=(3, 7))  # as far back as ast can look
    assert "from __future__" not in source


# Commands.


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_exit_codes(ready, code):
    assert ready.run("code", f"sys.exit({code})").returncode == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_death_by_signal(ready, name):
    number = getattr(signal, name)
    die = f"import os; os.kill(os.getpid(), {number:d})"
    assert ready.run("code", die).returncode == -number
    assert ready.run("two", die).returncode == 128 + number
    shell = 'code=0; "$@" || code=$?; exit $code'
    line = [sys.executable, ready.root / "drive.py", "code", die]
    assert subprocess.run(["sh", "-c", shell, "sh", *line], capture_output=True).returncode == 128 + number


def test_ctrl_c_is_the_commands_to_handle(ready):
    wait = "import time\ntry: print('up', flush=True); time.sleep(30)\nexcept KeyboardInterrupt: sys.exit(5)"
    process = ready.start("code", wait)
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 5


def test_arguments_folder_and_environment(ready, tmp_path):
    arguments = ["--x", "", "a b", "'\"$HOME\\", "--", "é"]
    misleading = dict.fromkeys(["PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET"], "/nowhere")
    process = ready.run("show", *arguments, cwd=tmp_path, PIP_INDEX_URL="kept", **misleading)
    got_arguments, folder, environment, prefix = json.loads(process.stdout_text)
    assert got_arguments == arguments
    assert folder == str(tmp_path)
    assert prefix == str(ready.venv)
    assert not misleading.keys() & environment.keys()
    assert environment["PIP_INDEX_URL"] == "kept"
    assert json.loads(ready.run("show-root", cwd=tmp_path).stdout_text)[1] == str(ready.root)


def test_programs_run_up_to_the_first_that_fails(ready):
    assert ready.run("two", "pass").stdout_text != ""
    failed = ready.run("two", "sys.exit(3)")
    assert (failed.returncode, failed.stdout_text) == (3, "")


def test_usage():
    def call(*arguments):
        line = [sys.executable, ROOT / "scripts" / "run.py", *arguments]
        return subprocess.run(line, capture_output=True, text=True)

    shown = call("--help")
    assert shown.returncode == 0
    assert {"train", "test", "lint"} <= {line.split()[0] for line in shown.stdout.splitlines() if line}
    for arguments in ([], ["tset"]):
        refused = call(*arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert shown.stdout in refused.stderr


# Versions.


def requirements():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    listed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        listed += extra
    return [Requirement(line) for line in listed]


def test_everything_installed_is_pinned_within_its_range():
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for requirement in requirements():
        fitting = [pin for pin in pins if pin.name == requirement.name]
        assert fitting, requirement
        for pin in fitting:
            (version,) = (specifier.version for specifier in pin.specifier)
            assert version in requirement.specifier, requirement


def test_one_version_of_ruff():
    (ruff,) = (requirement for requirement in requirements() if requirement.name == "ruff")
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"rev: v(.*)", hooks) == [str(ruff.specifier).removeprefix("==")]
