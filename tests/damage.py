"""Files of the cache as they should not be: made good to its checksum, or not."""

import hashlib
import pickle


def with_checksum(payload):
    """A file whose checksum is right."""
    return hashlib.sha256(payload).digest() + payload


def flipped(content, place):
    """`content` with one bit of the byte at `place` changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def kept(content):
    """What is in a file, behind its checksum."""
    return pickle.loads(content[32:])
