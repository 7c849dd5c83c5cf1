"""Training problems drawn at random, small enough for the reference, and a run of either backend on one."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn.backends import Chunk, Task
from fastnn.kernels.tile import ROWS, lanes
from fastnn.optimizers import SGD, Adam

OPTIMIZERS = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.01, momentum=0.9),
    "nesterov": SGD(0.01, momentum=0.9, nesterov=True),
    "adam": Adam(0.01),
}

# Around the edges of a vector, of the register tile and of a panel; the reference takes 0.1 us for every product.
_WIDTHS = sorted(
    {1, 2, 3, 5, lanes(8), lanes(8) + 1, lanes(4), lanes(4) + 1, 2 * lanes(8) + 1, 2 * lanes(4) + 1}
)
_ROWS = (1, 2, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 1)
_MOST_STEPS = 20


@dataclass
class Problem:
    """A network, samples for it, and the batches of a training run."""

    net: fastnn.MLP
    X: np.ndarray
    y: np.ndarray
    batch: int
    order: np.ndarray  # the batches' rows, one after the other; the last batch may be shorter
    chunks: list[int]  # how many steps each call of a backend gets

    @property
    def steps(self):
        return sum(self.chunks)


@dataclass
class Outcome:
    """What a training run leaves."""

    losses: np.ndarray
    correct: np.ndarray
    parameters: list[np.ndarray]

    def __eq__(self, other):
        """The same bits."""
        pairs = zip(self.arrays, other.arrays, strict=True)
        return all(one.tobytes() == two.tobytes() for one, two in pairs)

    @property
    def arrays(self):
        return [self.losses, self.correct, *self.parameters]


@st.composite
def problems(draw, dtype):
    """Networks of up to three hidden layers, on one row or a few strips of the tile, for up to 20 steps."""
    width = st.sampled_from(_WIDTHS)
    sizes = [draw(width), *draw(st.lists(width, max_size=3)), draw(st.sampled_from(_WIDTHS[1:]))]
    activation = draw(st.sampled_from(["relu", "relu", "identity"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Small inputs, weights and rates: a run that diverges would make any rounding error large.
    net = fastnn.MLP(sizes, activation, init="glorot_uniform", dtype=dtype, seed=int(rng.integers(1000)))
    net.biases = [0.1 * rng.standard_normal(b.shape) for b in net.biases]
    rows = draw(st.sampled_from(_ROWS))
    batch = draw(st.integers(1, rows))
    X, y = rng.uniform(-1, 1, (rows, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], rows)
    X[rng.random(X.shape) > draw(st.sampled_from([1, 1, 0.3, 0.05]))] = 0  # mostly zeros: another first layer
    steps = draw(st.integers(1, _MOST_STEPS))
    order = rng.integers(0, rows, steps * batch - draw(st.integers(0, batch - 1)))
    cuts = sorted(draw(st.sets(st.integers(1, steps - 1), max_size=3))) if steps > 1 else []
    return Problem(net, X, y, batch, order, np.diff([0, *cuts, steps]).tolist())


def for_problems(dtype, examples):
    """Decorate a test of one argument, `problem`: so many examples, always the same."""
    quick = settings(deadline=None, derandomize=True, max_examples=examples)
    return lambda test: quick(given(problem=problems(dtype))(test))


def train(backend: Any, problem: Problem, optimizer, chunks=None, **task) -> Outcome:
    """Train a copy of the problem's network; `task` are more settings of its Task."""
    net = copy.deepcopy(problem.net)
    run = backend(net, Task(problem.X, problem.y, problem.batch, optimizer, **task))
    parts, step = [], 0
    for steps in chunks or problem.chunks:
        rows = problem.order[step * problem.batch : (step + steps) * problem.batch]
        losses, correct, totals = run.run(
            Chunk(rows, np.full(steps, optimizer.learning_rate), step, problem.batch)
        )
        assert np.array_equal(totals, np.diff([*range(0, rows.size, problem.batch), rows.size]))
        parts.append((losses, correct))
        step += steps
    run.pull()
    run.close()
    return Outcome(*map(np.concatenate, zip(*parts, strict=True)), [*net.weights, *net.biases])
