"""Run a command of the project in .venv, which is made and filled first where that is still to do.

`python3 scripts/run.py train` needs nothing but Python and a package index. The syntax is kept to that of
Python 3.6, so that an older Python can still say that it is too old.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONSTRAINTS = os.path.join(ROOT, "scripts", "constraints.txt")
PEERS = os.path.join(ROOT, "scripts", "compare_constraints.txt")

# programs: the arguments of Python for each program in turn. extras: those of pyproject.toml that they need.
# in_checkout: they run in the checkout's root; otherwise where the caller is, whose arguments may name files.
# peers: they run in .venv-compare, which holds all that PEERS lists; otherwise in .venv.
Command = namedtuple("Command", ["summary", "programs", "extras", "in_checkout", "peers"])
Command.__new__.__defaults__ = (False,)


def cli(name, summary):
    """Return the command that is `fastnn NAME`."""
    return Command(summary, [["-m", "fastnn", name]], [], in_checkout=False)


COMMANDS = {
    "train": cli("train", "train a network, on the embedded digits unless told otherwise"),
    "evaluate": cli("evaluate", "measure a saved network on a data set"),
    "predict": cli("predict", "classify rows with a saved network"),
    "gradcheck": cli("gradcheck", "compare the gradients with finite differences"),
    "bench": cli("bench", "measure this machine and the kernels on it"),
    "recipes": cli("recipes", "list whole training set-ups, or print one"),
    "info": cli("info", "show processor, threads, cache and versions"),
    "compare": Command(
        "measure fastnn beside its peers: NumPy, PyTorch, JAX, scikit-learn",
        [[os.path.join(ROOT, "bench", "compare")]],
        [],
        in_checkout=False,
        peers=True,
    ),
    "reproduce": Command(
        "train the starting systems' recipes, and print their figures beside ours",
        [[os.path.join(ROOT, "bench", "reproduce")]],
        [],
        in_checkout=False,
    ),
    "test": Command("run the tests", [["-m", "pytest"]], ["digits", "test"], in_checkout=True),
    "lint": Command(
        "check the style of the code",
        [["-m", "ruff", "check"], ["-m", "ruff", "format", "--check"]],
        ["lint"],
        in_checkout=True,
    ),
}


class SetUpError(Exception):
    """The environment cannot be made; the message says why and what would help."""


def use(folder, peers):
    """Make `folder` the environment that is set up and run."""
    global VENV, DISCARDED, STAMP, PYTHON, REQUIREMENTS, DURATION
    VENV = os.path.join(ROOT, folder)
    DISCARDED = VENV + ".discarded"
    STAMP = os.path.join(VENV, "fastnn-setup.json")
    PYTHON = os.path.join(VENV, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"]))
    REQUIREMENTS = [PEERS] if peers else []
    DURATION = "a few minutes and 2 GB" if peers else "about a minute"


use(".venv", peers=False)


def main(arguments):
    """Run the command that the first argument names with the rest; return the exit code."""
    if sys.version_info < OLDEST_PYTHON:
        needed, found = ("{}.{}".format(*version[:2]) for version in (OLDEST_PYTHON, sys.version_info))
        say(f"fastnn needs Python {needed} or newer, and this is Python {found}.")
        return 2
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        say(f"There is no command {arguments[0]!r}." if arguments else "A command is needed.")
        say(usage())
        return 2
    name, *rest = arguments
    command = COMMANDS[name]
    if command.peers:
        use(".venv-compare", peers=True)
    try:
        if not is_set_up(command.extras):
            with lock():
                if not is_set_up(command.extras):
                    set_up(name, command.extras)
        return run(command, rest)
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    except SetUpError as error:
        say(str(error))
        return 2
    except OSError as error:
        say(f"{VENV} cannot be made or used: {error}.")
        return 2


def usage():
    """Return the list of commands."""
    lines = [f"  {name:<10} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: python3 scripts/run.py COMMAND [ARGUMENTS]", "", *lines])


def say(text):
    """Write to stderr, so that stdout holds only what the command prints."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def is_set_up(extras):
    """Whether .venv is finished, fits this checkout and this Python, and has the extras."""
    stamp = read_stamp()
    fits = stamp.get("made for") == made_for() and stamp.get("project") == project()
    return fits and set(extras) <= set(stamp["extras"])


def read_stamp():
    """Return what .venv was filled with; empty where it was never finished, or its Python is gone."""
    try:
        with open(STAMP) as file:
            return json.load(file) if os.path.exists(PYTHON) else {}
    except (OSError, ValueError):
        return {}


def write_stamp(stamp):
    """Replace the stamp in one step."""
    with open(STAMP + ".new", "w") as file:
        json.dump(stamp, file)
    os.replace(STAMP + ".new", STAMP)


def made_for():
    """Return what an environment cannot outlive: the Python it links to, and the folder it stands in."""
    return [sys.version, sys.base_prefix, ROOT]


def project():
    """Return a digest of the files that say what is to be installed."""
    digest = hashlib.sha256()
    for path in (os.path.join(ROOT, "pyproject.toml"), CONSTRAINTS, *REQUIREMENTS):
        with open(path, "rb") as file:
            digest.update(file.read() + b"\0")
    return digest.hexdigest()


@contextlib.contextmanager
def lock():
    """Keep a second set-up of this checkout waiting."""
    try:
        file = open(VENV + ".lock", "a")  # noqa: SIM115
    except OSError as error:
        raise SetUpError(
            f"This checkout cannot be written to ({error.strerror}), and set-up has to make {VENV}: "
            "copy the checkout to a folder of your own and run it there."
        ) from None
    with file:
        if not try_lock(file):
            say("Another set-up is at work in this checkout; waiting for it ...")
            while not try_lock(file):
                time.sleep(0.2)
        # The lock ends with the last process that has the file open. Children inherit it (see call), so that
        # a pip that outlives a killed set-up does not write into the .venv of the next one.
        os.set_inheritable(file.fileno(), True)
        yield


def try_lock(file):
    """Take the lock unless another process has it; return whether it is ours."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks: better unguarded than not at all
    return True


def set_up(name, extras):
    """Make .venv, or add to it what is missing.

    It is built in place, as its scripts hold its path. The stamp is emptied first and written last: a set-up
    that breaks off leaves it empty, and the next one starts from nothing.
    """
    stamp = read_stamp()
    start = time.time()
    fits = stamp.get("made for") == made_for()
    if fits:
        extras = sorted(set(extras) | set(stamp["extras"]))
        say(f"Updating {os.path.basename(VENV)} for {name!r}; this takes about half a minute ...")
    else:
        clear_away(stamp)
        say(f"Setting up {os.path.basename(VENV)} for {name!r}; this takes {DURATION}, once ...")
    os.makedirs(VENV, exist_ok=True)
    write_stamp({})
    if not fits and call([base_python(), "-m", "venv", "--without-pip", VENV]):
        raise SetUpError("This Python has no venv module; on Debian or Ubuntu: apt install python3-venv")
    install = [*find_pip(), "install", "-qq", "--no-user", "-c", CONSTRAINTS]
    project_itself = f".[{','.join(extras)}]" if extras else "."
    peers = [["-r", path] for path in REQUIREMENTS]
    # setuptools by name and no isolated build, because the constraints would not reach an isolated one.
    for what in (["setuptools"], ["--no-build-isolation", "-e", project_itself], *peers):
        if call(install + what):
            notes = f" ({os.path.relpath(PEERS, ROOT)} says more)" if what in peers else ""
            raise SetUpError(f"Set-up failed: pip could not install what is needed, see above{notes}.")
    write_stamp({"made for": made_for(), "project": project(), "extras": extras})
    say(f"Set-up took {time.time() - start:.0f} s.")


def clear_away(stamp):
    """Make room for a new .venv: remove one of ours, set anybody else's aside."""
    shutil.rmtree(DISCARDED, ignore_errors=True)
    # The new stamp alone is what a set-up leaves that is killed as it writes its first one.
    if os.path.exists(STAMP) or os.path.exists(STAMP + ".new"):
        name = os.path.basename(VENV)
        say(f"{name} is for another Python or folder." if stamp else f"{name} is unfinished or damaged.")
        # In one step: without its stamp, one that is half removed would look like somebody else's.
        os.replace(VENV, DISCARDED)
        shutil.rmtree(DISCARDED)
    elif os.path.lexists(VENV) and not is_empty_folder(VENV):
        aside = VENV + time.strftime(".%Y-%m-%d-%H%M%S")
        os.rename(VENV, aside)
        say(f"{os.path.basename(VENV)} was not made by this script: it is now {os.path.basename(aside)}.")


def is_empty_folder(path):
    """Whether there is nothing in the folder, as when a set-up is killed in its first moment."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path)


def base_python():
    """Return the Python outside any environment: the one at work may be in the .venv that has to go."""
    return getattr(sys, "_base_executable", None) or sys.executable


def find_pip():
    """Return the command that is pip for .venv: its own or, without ensurepip, an outer one (>= 22.3)."""
    own = [PYTHON, "-m", "pip"]
    if succeeds([*own, "--version"]) or succeeds([PYTHON, "-m", "ensurepip", "--default-pip"]):
        return own
    for python in (base_python(), sys.executable):
        outer = [python, "-m", "pip", "--python", PYTHON]
        if succeeds([*outer, "--version"]):
            return outer
    raise SetUpError("This Python has no pip to install with; on Debian or Ubuntu: apt install python3-venv")


def succeeds(command):
    """Run in silence and return whether the exit code was 0."""
    return call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def call(command, **streams):
    """Run in the checkout with the lock inherited (close_fds=False); return the exit code."""
    return subprocess.call(command, cwd=ROOT, env=environment(), close_fds=False, **streams)


def environment():
    """Return the caller's environment without what leads Python or pip out of .venv."""
    misleading = (
        "PYTHONHOME",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_ROOT",
        "PIP_TARGET",
    )
    return {name: value for name, value in os.environ.items() if name not in misleading}


def run(command, arguments):
    """Run the command's programs with the arguments, up to the first that fails; return the exit code."""
    if command.in_checkout:
        os.chdir(ROOT)
    # -P keeps the current folder off sys.path: its `kernels` is to be imported as fastnn.kernels only.
    calls = [[PYTHON, "-P", *program, *arguments] for program in command.programs]
    if len(calls) == 1 and os.name != "nt":
        os.execve(
            PYTHON, calls[0], environment()
        )  # signals, Ctrl-C and exit codes are then the program's own
    for line in calls:
        code = subprocess.call(line, env=environment())
        if code:
            return 128 - code if code < 0 else code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
