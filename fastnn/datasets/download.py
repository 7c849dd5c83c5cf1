"""Downloading a file whose size and SHA-256 are known, from the first mirror that has it."""

import hashlib
from collections.abc import Sequence

TIMEOUT = 30.0
"""Seconds that a mirror may stay silent before the next one is asked."""

_CHUNK = 1 << 16


class DownloadError(OSError):
    """No mirror gave the file; the message says what each one answered."""


def download(urls: Sequence[str], size: int, sha256: str) -> bytes:
    """Return the content of the first of `urls` that is exactly the file of `size` bytes with this SHA-256.

    At most one byte more than `size` is taken from a mirror. Raises DownloadError when none has the file.
    """
    from http.client import HTTPException

    answers = []
    for url in urls:
        try:
            content = _fetch(url, size)
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
            answer = f"{len(content)} bytes that are not the expected file"
        except (OSError, HTTPException) as error:
            answer = getattr(error, "reason", None) or error
        answers.append(f"{url}: {answer}")
    raise DownloadError("; ".join(answers))


def _fetch(url: str, size: int) -> bytes:
    from urllib.request import urlopen

    if not url.startswith("https://"):
        raise OSError("not an https address")
    content = bytearray()
    with urlopen(url, timeout=TIMEOUT) as response:
        if not response.geturl().startswith("https://"):
            raise OSError(f"redirected to {response.geturl()}, which is not an https address")
        while chunk := response.read(min(_CHUNK, size + 1 - len(content))):
            content += chunk
    if len(content) != size:
        raise OSError(
            f"{'more than ' if len(content) > size else 'only '}{min(len(content), size)} of {size} bytes"
        )
    return bytes(content)
