"""Run as a folder, `python bench/reproduce`, which puts the folder itself on the path; its parent is needed there."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from reproduce.command import main  # noqa: E402

sys.exit(main())
