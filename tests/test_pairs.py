"""bench/pairs.py: that it times two checkouts, and says what it needs."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pairs(*arguments):
    line = [sys.executable, "-P", str(ROOT / "bench" / "pairs.py"), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_two_checkouts():
    done = pairs(str(ROOT), "--work", "20-16-3:64", "B20", "--rounds", "3", "--starts", "1")
    assert done.returncode == 0, done.stderr
    names, rates, ratios = zip(
        *(
            re.match(r"(\S+) +(\d+) GFLOP/s +([\d.]+) +\([\d.]+\)$", line).groups()
            for line in done.stdout.splitlines()
        ),
        strict=True,
    )
    assert names == ("20-16-3:64", "B20")
    assert all(int(rate) > 0 for rate in rates)
    assert all(0.02 < float(ratio) < 50 for ratio in ratios)


def test_what_it_needs(tmp_path):
    for arguments in ([], [str(tmp_path)]):
        done = pairs(*arguments)
        assert done.returncode == 2
        assert "it must be the folder of a checkout" in done.stderr
    done = pairs(str(ROOT), "--work", "Z")
    assert done.returncode == 2
    assert "--work: invalid workload value: 'Z'" in done.stderr
