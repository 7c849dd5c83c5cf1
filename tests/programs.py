"""Other Python programs, started and watched: for what a process does as a whole, from its import on."""

import os
import subprocess
import sys
import textwrap


def start(code, *arguments, **environment):
    """Start `code` in another Python, without its folder on the path; None unsets a variable."""
    variables = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", textwrap.dedent(code), *map(str, arguments)],
        env={name: str(value) for name, value in variables.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(program, timeout=120):
    """Wait for a program and return what it printed; it must end in time, well, and without complaint."""
    try:
        output, errors = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        program.kill()
        output, errors = program.communicate()
        raise AssertionError(f"still running after {timeout} s\n{output}\n{errors}") from None
    assert program.returncode == 0, f"exit code {program.returncode}\n{output}\n{errors}"
    assert errors == "", errors
    return output.strip()


def run(code, *arguments, timeout=120, **environment):
    """Run `code` in another Python and return what it printed."""
    return finish(start(code, *arguments, **environment), timeout)
