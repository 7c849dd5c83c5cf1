"""Checkpoints: a file from which an interrupted training goes on, to the same bits as if it had not been interrupted.

saver        when the file is written, and going on from it
state        what is in it
fingerprint  what must be the same when training goes on
"""

from .saver import Checkpoint as Checkpoint
from .saver import CheckpointError as CheckpointError
from .saver import Saver as Saver
