"""Atomic writing: the old file or the new one, whole, whatever happens in between."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from fastnn import atomic_file
from fastnn.atomic_file import write_atomically

OLD, NEW = b"old " * 1000, b"new " * 2000


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


def test_new_and_old_files(tmp_path, old):
    for name in ("file", "another"):
        write_atomically(str(tmp_path / name), NEW)
        assert (tmp_path / name).read_bytes() == NEW
    assert sorted(os.listdir(tmp_path)) == ["another", "file"]


def test_a_name_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_modes(old):
    umask = os.umask(0o027)
    try:
        write_atomically(f"{old}.new", NEW)
    finally:
        os.umask(umask)
    assert os.stat(f"{old}.new").st_mode & 0o7777 == 0o640
    old.chmod(0o604)
    write_atomically(str(old), NEW)
    assert old.stat().st_mode & 0o7777 == 0o604


def test_a_link_stays_and_its_file_is_replaced(tmp_path, old):
    (tmp_path / "folder").mkdir()
    for target in (old, tmp_path / "folder" / "not there yet"):
        link = tmp_path / f"link to {target.name}"
        link.symlink_to(target)
        write_atomically(str(link), NEW)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.read_bytes() == NEW


def test_places_that_cannot_be_written(tmp_path, old):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir(tmp_path))
    for name in (".", "new/", "missing/file", "file/file", "pipe", "loop", "a" * 300):
        with pytest.raises(OSError, match="cannot be written") as caught:
            write_atomically(f"{tmp_path}/{name}", NEW)
        assert caught.value.errno
    with pytest.raises(OSError, match="cannot be written"):
        write_atomically("", NEW)
    with pytest.raises(OSError, match="cannot be written: it is a device"):
        write_atomically("/dev/null", NEW)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_write_protection_is_respected(tmp_path, old):
    old.chmod(0o444)
    with pytest.raises(PermissionError):
        write_atomically(str(old), NEW)
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        write_atomically(f"{old}.new", NEW)
    tmp_path.chmod(0o755)
    assert old.read_bytes() == OLD


class FaultyOS:
    """The module os, but for the k-th call of those that touch a file, which fails; `failed` is its name."""

    CALLS = ("open", "write", "fchmod", "fsync", "close", "replace")

    def __init__(self, k, error):
        self.remaining, self.error, self.failed = k, error, None

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in self.CALLS:
            return function

        def call(*args):
            self.remaining -= 1
            if self.remaining:
                return function(*args)
            if name == "write":
                function(args[0], args[1][: len(args[1]) // 2])
            if name == "close":
                function(*args)
            self.failed = name
            raise self.error

        return call


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "no space"), OSError(errno.EIO, "input/output error"), KeyboardInterrupt()],
)
def test_any_call_may_fail(old, monkeypatch, error):
    outcomes = []
    for k in range(1, 100):
        old.write_bytes(OLD)
        shim = FaultyOS(k, error)
        raised = False
        with monkeypatch.context() as patch:
            patch.setattr(atomic_file, "os", shim)
            try:
                write_atomically(str(old), NEW)
            except type(error):
                raised = True
        assert os.listdir(old.parent) == [old.name]
        if shim.failed is None:
            break
        outcomes.append((shim.failed, raised, old.read_bytes()))
    assert outcomes[:6] == [
        (name, True, OLD) for name in ("open", "write", "fchmod", "fsync", "close", "replace")
    ]
    # Then the folder is synced, which is allowed to fail.
    stopped = isinstance(error, KeyboardInterrupt)
    assert outcomes[6:] == [(name, stopped, NEW) for name in ("open", "fsync", "close")]


def test_a_disk_that_is_full_in_the_middle(old):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(NEW) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="cannot be written") as caught:
            write_atomically(str(old), NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert old.read_bytes() == OLD
    assert os.listdir(old.parent) == [old.name]


KILL_LOOP = """
import os, random, signal, sys, time
import fastnn

path = sys.argv[1]
nets = [fastnn.MLP([100, 200, 10], seed=seed) for seed in (0, 1)]
for _ in range(30):
    nets[0].save(path)
    saved, tell = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            for net in reversed(nets):
                net.save(path)
                os.write(tell, b".")
    os.read(saved, 1)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    net = fastnn.load(path)
    assert (net.weights[0] == nets[net.seed].weights[0]).all()
"""


def test_kill_9_at_any_moment(old):
    subprocess.run([sys.executable, "-c", KILL_LOOP, old], check=True, timeout=120, cwd=old.parent)
