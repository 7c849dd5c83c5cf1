"""Dropout's masks: what each number of an array is multiplied with, 0 or a factor that keeps the expectation.

Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to prevent neural networks from
overfitting, 2014, section 4; scaled in training, not afterwards, as PyTorch does.
"""

from collections.abc import Sequence

from .inputs import Matrix
from .random import squares, subkey

Masks = Sequence[Matrix | None]


def mask(rows: int, columns: int, rate: float, key: int) -> Matrix:
    """M_ij = 0 where the random number i columns + j of stream `key` is below rate 2³², else 1 / (1 - rate).

    Array (rows, columns); 0 <= rate < 1.
    """
    threshold = min(round(rate * 2**32), 2**32 - 1)  # it has 32 bits, too, where the rate is just below 1
    scale = 1.0 / (1.0 - rate)
    return [
        [0.0 if squares(i * columns + j, key) < threshold else scale for j in range(columns)]
        for i in range(rows)
    ]


def step_masks(rates: Sequence[float], rows: int, widths: Sequence[int], key: int) -> Masks:
    """The masks of one step with key `key`: of the inputs, then of each hidden layer; None where nothing is dropped.

    rates, widths: for the inputs and for each hidden layer, what part is dropped, and how many columns there are.
    """
    return [
        mask(rows, columns, rate, subkey(key, place)) if rate > 0 else None
        for place, (rate, columns) in enumerate(zip(rates, widths, strict=True))
    ]
