"""Writing a file so that, whatever happens on the way, either the old or the new one is there, and whole."""

import errno
import os
import secrets
import stat
from contextlib import suppress


def write_atomically(path: str, data: bytes) -> None:
    """Make `data` the content of the file at `path`: written beside it, synced, and renamed over it.

    A link stays, and the file that it leads to is replaced. A file that exists keeps its mode; a new one gets
    what the umask leaves.

    Raises OSError, with the old file as it was, if `path` is a folder, a device or write-protected, if its
    folder is missing, and if writing fails. A killed process may leave its temporary file, `.fastnn-*.tmp`.
    """
    try:
        _write(path, data)
    except OSError as error:
        raise OSError(error.errno, f"{path!r} cannot be written: {error.strerror or error}") from error


def _write(path: str, data: bytes) -> None:
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder!r}")
    if not os.path.basename(path):
        raise IsADirectoryError(errno.EISDIR, "it names a folder; the name of a file is needed")
    mode = _mode_to_keep(target)
    temporary = os.path.join(folder, f".fastnn-{secrets.token_hex(8)}.tmp")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(file, remaining) :]
            if mode is not None:
                os.fchmod(file, mode)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _mode_to_keep(target: str) -> int | None:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; the name of a file is needed")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe; the name of a file is needed")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    return stat.S_IMODE(mode)


def _sync_folder(folder: str) -> None:
    # Makes the new name last through a power cut. Not every file system can, and where it fails, a power cut
    # brings back the old file at worst, which is whole too: no reason to say that the file was not written.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
