"""Sparse rows as fastnn keeps them: SciPy's CSR format without SciPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class CSR:
    """A matrix of which only the non-zeros are stored: row r has data[row_starts[r] : row_starts[r + 1]].

    row_starts : int64 (rows + 1,).
    columns : int32 (non-zeros,), rising within each row.
    data : (non-zeros,), of the network's dtype.
    shape : (rows, columns).
    """

    row_starts: np.ndarray
    columns: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return the rows that an array of numbers or a slice names, as a dense array."""
        numbers = np.arange(len(self))[rows]
        dense = np.zeros((numbers.size, self.shape[1]), self.data.dtype)
        for target, row in zip(dense, numbers, strict=True):
            entries = slice(self.row_starts[row], self.row_starts[row + 1])
            target[self.columns[entries]] = self.data[entries]
        return dense

    def take(self, rows: np.ndarray) -> "CSR":
        """Return the rows of these numbers."""
        lengths = np.diff(self.row_starts)[rows]
        row_starts = np.concatenate([[0], np.cumsum(lengths)])
        # Of each entry: where its row starts here, plus its place within the row.
        entries = np.repeat(self.row_starts[rows] - row_starts[:-1], lengths) + np.arange(row_starts[-1])
        return CSR(row_starts, self.columns[entries], self.data[entries], (len(rows), self.shape[1]))

    def tolist(self) -> list[list[float]]:
        """Return the same matrix as nested lists."""
        return self.toarray().tolist()

    def toarray(self) -> np.ndarray:
        """Return the same matrix as an array."""
        dense = np.zeros(self.shape, self.data.dtype)
        rows = np.repeat(np.arange(len(self)), np.diff(self.row_starts))
        dense[rows, self.columns] = self.data
        return dense


def take_rows(X: np.ndarray | CSR, rows: np.ndarray) -> np.ndarray | CSR:
    """Return the rows of these numbers, of CSR as CSR: as a dense array they might not fit into memory."""
    return X.take(rows) if isinstance(X, CSR) else X[rows]


def is_scipy_sparse(value: Any) -> bool:
    """Tell whether `value` is a matrix or array of scipy.sparse, without importing it."""
    return (
        not isinstance(value, np.ndarray)
        and type(value).__module__.partition(".")[0] == "scipy"
        and hasattr(value, "tocsr")
    )


def to_csr(matrix: Any) -> Any:
    """Return a SciPy matrix in CSR format with sorted columns and no duplicates; the caller's is not changed.

    Raises ValueError for arrays that do not describe a matrix of its shape, which SciPy itself does not look at.
    """
    csr = matrix.tocsr()
    starts, columns = csr.indptr, csr.indices
    ordered = (
        starts[0] == 0 and starts[-1] <= min(columns.size, csr.data.size) and (np.diff(starts) >= 0).all()
    )
    columns = columns[: starts[-1]]
    if not ordered or (columns.size and not 0 <= columns.min() <= columns.max() < csr.shape[1]):
        raise ValueError("its indptr and indices do not describe a matrix of its shape")
    if not csr.has_canonical_format:
        csr = csr.copy() if csr is matrix else csr
        csr.sum_duplicates()
    return csr
