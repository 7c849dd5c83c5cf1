"""From starting Python to the end of the first small training, in a process of its own each time."""

import programs
import pytest

_FIRST_FIT = """
    import numpy as np
    import fastnn
    fastnn.MLP([4, 5, 3]).fit(np.random.default_rng(0).random((8, 4)), np.arange(8) % 3, epochs=1)
"""


@pytest.mark.parametrize("code", ["pass", "import numpy", "import numba", "import fastnn"])
def test_imports(benchmark, code):
    benchmark.group = "cold start"
    programs.run(code)  # warm-up: the system reads the files from disk
    benchmark.pedantic(programs.run, (code,), rounds=5)


def test_first_training_without_cache(benchmark, tmp_path_factory):
    def empty_folder():
        return (_FIRST_FIT,), {"FASTNN_CACHE": tmp_path_factory.mktemp("cache")}

    benchmark.group = "cold start"
    benchmark.pedantic(programs.run, setup=empty_folder, rounds=3)


def test_first_training_with_cache(benchmark):
    benchmark.group = "cold start"
    programs.run(_FIRST_FIT)  # warm-up: fills the cache
    benchmark.pedantic(programs.run, (_FIRST_FIT,), rounds=5)
