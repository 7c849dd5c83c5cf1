"""The compiled backend: lays a network out for the training kernel, and calls it for chunk after chunk."""

import time

import numba
import numpy as np
from numba import types

from .. import kernels
from ..csr import CSR
from ..kernels import update
from ..kernels._jit import require_jit
from ..kernels.arrays import aligned_zeros, plain
from ..kernels.compress import no_entries
from ..kernels.functions import function_address
from ..kernels.layout import pack_parameters, unpack_parameters
from ..kernels.optimize import (
    APPLY_KEPT,
    APPLY_PARTIALS,
    AVERAGE,
    AVERAGES,
    DIRECT,
    FIRST,
    FUSED,
    GLOBAL,
    KEPT,
    LIMIT_NORMS,
    MODE,
    PENALISE,
    RUN,
    SECOND,
    UPDATE,
    WORDS,
    apply_kept,
    limit_norms,
    step_end_arguments,
)
from ..kernels.random import make_key
from ..kernels.slices import apply_partials, apply_partials_arguments
from ..kernels.thread_count import get_num_threads as get_num_threads
from ..kernels.thread_count import set_num_threads as set_num_threads
from ..kernels.threads import ALONE, Team, compiled, team_of
from ..kernels.train import ALONE_FROM, ALONE_SECONDS, train_steps
from ..parameters import Parameters
from . import Chunk, Task, inference
from .ahead import compile_ahead
from .inputs import gathers, goes_over_non_zeros, room_for, stored_rows
from .inspect import layer_outputs
from .look import MANY, look, useful_lookers
from .network import drop_settings, dropper_address, network_layout, objective
from .pace import Pace
from .settings import settings_table
from .sharing import LEAST_CUT, SLICE_ROWS, SPEED, parts_of_batch, rows_of_slice, useful_threads, work

# A chunk lasts about this long, so that Ctrl-C, callbacks and progress are served in time. Between two are 0.5 ms of Python whose
# objects the steps drove out of the caches. (Chunks of 0.05 s: 784-1000-1000-10 0.3 % slower.) One that is made alone only
# because a neighbour is busy is shorter, so that all threads are tried again soon.
_CHUNK_SECONDS, _ALONE_SECONDS = 0.1, 0.05

_STREAM = 2  # of the seed's streams (see initializers.py), that of dropout


def needs_compiling():
    """True if the first training in this process will have to compile the kernels, which takes seconds."""
    if train_steps.signatures:
        return False
    try:
        return not any(kernels.kernel_folder().glob(f"{train_steps.__name__}-*"))
    except OSError:
        return True


def warm_up():
    """Compile every kernel that plain training uses, or load it from the cache, for both dtypes."""
    from ..mlp import MLP

    for dtype in (np.float32, np.float64):
        net = MLP([2, 2], dtype=dtype)
        X, y = np.eye(2, dtype=dtype), np.arange(2)
        JitBackend.gradients(net, X, y)
        JitBackend.predict_proba(net, X, None)
        JitBackend.predict_proba(net, np.zeros((100, 2), dtype), None)
        JitBackend.losses(net, X, y, None)
        JitBackend.inspect(net, X)
        JitBackend.all_finite(np.zeros(MANY, dtype), None)
        kernels.matmul(X, X)
        kernels.relu(X)
        kernels.softmax(X)
        kernels.softmax_cross_entropy(X, y)


def _how(optimizer, dtype, cut):
    """The words of kernels/optimize.py for an optimiser (None: gradients alone), and how many rows of moments it needs.

    cut: whether batches are cut into slices.
    """
    how = np.zeros(WORDS, np.int64)
    how[[FIRST, SECOND, AVERAGES, KEPT]] = -1
    kind = numba.from_dtype(dtype)
    name, state_arrays = ("gradient", 1) if optimizer is None else (optimizer.kernel, optimizer.state_arrays)
    how[UPDATE] = function_address(update.UPDATES[name], *[types.intp] * 6, kind)
    if cut:
        how[APPLY_PARTIALS] = function_address(apply_partials, *apply_partials_arguments(kind))
    for place in (FIRST, SECOND)[:state_arrays]:
        how[place] = 0 if place == FIRST else 1
    rows = state_arrays
    how[MODE] = FUSED
    if optimizer is None:
        return how, rows
    if optimizer.average is not None:
        how[AVERAGE] = function_address(update.average, *[types.intp] * 4, kind)
        how[AVERAGES], rows = rows, rows + 1
    if optimizer.penalises:
        how[PENALISE] = function_address(update.penalise, *[types.intp] * 4, kind)
    kept_arguments, limit_arguments = step_end_arguments(kind)
    if optimizer.clip_norm is not None:
        how[MODE] = GLOBAL
        how[APPLY_KEPT] = function_address(apply_kept, *kept_arguments)
        how[KEPT], rows = rows, rows + 1
    if optimizer.max_norm is not None:
        how[LIMIT_NORMS] = function_address(limit_norms, *limit_arguments)
    if name == "sgd" and not (optimizer.penalises or how[LIMIT_NORMS] or how[AVERAGE]):
        how[MODE] = DIRECT
    return how, rows


class JitBackend:
    """One training run on the compiled kernels; see backends.Backend for the protocol."""

    def __init__(self, net, task: Task):
        require_jit()
        self._net, self._task = net, task
        dtype = net.dtype
        if needs_compiling():
            compile_ahead(dtype)
        self._targets = plain(task.targets)
        self._row_weights = None if task.row_weights is None else plain(task.row_weights)
        self._objective = objective(net, self._targets, self._row_weights)
        self._batch = task.batch_size
        self._stream = make_key(net.seed, _STREAM, task.stream)
        X = task.X
        dense = not goes_over_non_zeros(X, task.sparse, net.sizes[1])
        self.inputs = "dense" if dense else "sparse"
        if dense and isinstance(X, CSR):
            X = X.toarray()
        self._X, self._stored = stored_rows(X, dtype)
        parts = parts_of_batch(net.sizes, self._batch, dtype.itemsize) if dense else 0
        self._how, moments = _how(task.optimizer, dtype, parts > 0)
        self._team = Team(min(get_num_threads(task.threads), useful_threads(net.sizes, self._batch, parts)))
        self._pace = Pace(self._team.threads, work(net.sizes, self._batch) / SPEED)
        self.steps_per_chunk = 1
        self._entries = no_entries(dtype) if dense else room_for(X, self._batch, net.sizes[1])
        self._inputs = np.zeros(2, np.int64)
        drops_inputs = bool(task.dropout) and task.dropout[0] > 0
        if drops_inputs:
            self._inputs[:] = dropper_address(dtype, not dense), drop_settings(task.dropout[0])[0]
        # Plain gradient descent changes the weights as it goes; the other optimisers need a block's gradient first.
        block = 0 if dense or self._how[MODE] == DIRECT else self._entries.largest_block
        rows = max(LEAST_CUT, self._team.threads * SLICE_ROWS) if parts else self._batch
        gathered = dense and (drops_inputs or gathers(net.sizes, dtype.itemsize))
        self._layout = layout = network_layout(
            net, rows, gathered, block, task.dropout, rest_from=0 if dense else 1
        )
        self._parameters = aligned_zeros(layout.parameters, dtype)
        self._moments = aligned_zeros(moments * layout.parameters, dtype).reshape(moments, layout.parameters)
        self._outputs = aligned_zeros(layout.activations, dtype)
        self._gradients = aligned_zeros(layout.outputs, dtype)
        self._scratches = aligned_zeros(self._team.threads * layout.scratch, dtype).reshape(
            self._team.threads, -1
        )
        self._sums = np.zeros(-(-layout.parameters // RUN) if self._how[MODE] == GLOBAL else 0)
        self._slice_rows = rows_of_slice(net.sizes[0], dtype.itemsize) if parts else 0
        self._partials = aligned_zeros(parts * layout.parameters, dtype).reshape(parts, layout.parameters)
        self._in_network = False
        self._row_losses = np.zeros(self._batch)
        self._row_correct = np.zeros(self._batch, dtype=np.int64)
        self._patience = np.zeros(4)
        self.push()
        # No steps, in this thread: compiles the kernel, or loads it, so that the first epoch's time is training's.
        nothing = Chunk(np.empty(0, np.int64), np.empty(0), 0, self._batch)
        arguments = self._arguments(nothing)[0]
        self._kernel = compiled(train_steps, ALONE.sync, *arguments)
        ALONE.run(self._kernel, *arguments)

    def push(self):
        """Read the network's parameters."""
        net = self._net
        pack_parameters(self._layout, net.weights, net.biases, self._parameters, self._team.threads)
        if self._how[AVERAGES] >= 0:
            self._moments[self._how[AVERAGES]] = self._parameters
        self._in_network = not self._moments.size

    def pull(self):
        """Write the trained parameters, or their average, into the network."""
        averages = self._how[AVERAGES]
        arena = self._parameters if averages < 0 else self._moments[averages]
        net = self._net
        unpack_parameters(self._layout, arena, net.weights, net.biases, self._team.threads)
        self._in_network = not self._moments.size

    def is_in_network(self):
        """Whether the network holds all that a step changes, so that `push` goes back to it."""
        return self._in_network

    def is_finite(self):
        """Whether no parameter is NaN or infinite."""
        return look(self._parameters, self._team)

    def snapshot(self, over=None):
        """A copy of the parameters and moments, over an earlier one if that is given: fresh memory takes as long again."""
        if over is None:
            return self._parameters.copy(), self._moments.copy()
        over[0][...], over[1][...] = self._parameters, self._moments
        return over

    def restore(self, snapshot):
        """Go back to a snapshot."""
        self._in_network = False
        self._parameters[...], self._moments[...] = snapshot

    def _arenas(self):
        """What a file must hold, by name."""
        rows = {"parameters": self._parameters}
        for name, place in (("first", FIRST), ("second", SECOND), ("average", AVERAGES)):
            if self._how[place] >= 0:
                rows[name] = self._moments[self._how[place]]
        return rows

    def state(self):
        """The parameters, moments and average, laid out as the user sees parameters: the same for all vector widths."""
        found = {}
        for name, arena in self._arenas().items():
            seen = Parameters(self._net.sizes, self._net.dtype)
            unpack_parameters(self._layout, arena, seen.weights, seen.biases)
            found[name] = seen.arena
        return found

    def load_state(self, state):
        """Go on from a state."""
        self._in_network = False
        for name, arena in self._arenas().items():
            seen = Parameters(self._net.sizes, self._net.dtype)
            seen.arena[...] = state[name]
            pack_parameters(self._layout, seen.weights, seen.biases, arena)

    def close(self):
        """End the other threads."""
        self._team.close()

    def run(self, chunk):
        """Make the steps of a chunk; return each batch's mean loss, its rows that were right, and the sum of its weights."""
        self._in_network = False
        arguments, results, _kept = self._arguments(chunk)
        self._patience[:] = *self._pace.patience(), 0, 0
        start = time.perf_counter()
        (self._team if self._pace.threads > 1 else ALONE).run(self._kernel, *arguments)
        seconds = time.perf_counter() - start
        steps = chunk.learning_rates.size
        alone_from = int(self._patience[ALONE_FROM])
        self._pace.record(
            seconds, steps, steps - alone_from if alone_from else 0, self._patience[ALONE_SECONDS]
        )
        # At most four times more than last time: one run may have met an idle machine, or a busy one.
        most_seconds = _CHUNK_SECONDS if self._pace.threads == self._team.threads else _ALONE_SECONDS
        self.steps_per_chunk = max(1, min(4 * steps, int(steps * most_seconds / seconds)))
        most = self._pace.most_steps()
        if most is not None:
            self.steps_per_chunk = min(self.steps_per_chunk, most)
        return results

    def _totals(self, rows, steps, batch_size):
        """The sum of the rows' weights in each batch."""
        totals = np.full(steps, float(batch_size))
        if self._row_weights is not None and steps:
            totals[:] = np.add.reduceat(
                self._row_weights[rows].astype(np.float64), np.arange(steps) * batch_size
            )
        elif steps:
            totals[-1] = rows.size - (steps - 1) * batch_size
        return totals

    def _arguments(self, chunk):
        """What train_steps takes after `sync`; the results, and what must live during the call."""
        steps = chunk.learning_rates.size
        order, X, targets, weights = chunk.rows, self._X, self._targets, self._row_weights
        words, numbers = self._objective
        if chunk.X is not None:
            order, X, targets = np.arange(chunk.rows.size), chunk.X, targets[chunk.rows]
            weights = None if weights is None else weights[chunk.rows]
            words, numbers = objective(self._net, targets, weights)
        losses, correct = np.zeros(steps), np.zeros(steps, dtype=np.int64)
        totals = self._totals(chunk.rows, steps, chunk.batch_size)
        if self._task.optimizer is None:
            settings = np.zeros((steps, 2, update.SETTINGS), self._net.dtype)
        else:
            settings = settings_table(
                self._task.optimizer, chunk.learning_rates, chunk.first_step, self._net.dtype
            )
        arguments = (
            self._layout.table,
            self._layout.constants,
            self._inputs,
            words,
            numbers,
            self._how,
            settings,
            self._stream,
            chunk.first_step,
            self._parameters,
            self._moments,
            self._outputs,
            self._gradients,
            self._scratches,
            self._sums,
            self._layout.inputs,
            self._layout.input_stride,
            X,
            *self._stored,
            self._entries.bounds,
            self._entries.values,
            self._entries.indices,
            self._entries.pointers,
            order,
            chunk.batch_size,
            totals,
            losses,
            correct,
            self._row_losses,
            self._row_correct,
            self._patience,
            self._slice_rows if chunk.batch_size >= LEAST_CUT else 0,
            self._partials,
        )
        return arguments, (losses, correct, totals), (targets, weights)

    @staticmethod
    def all_finite(array, threads):
        """Say whether all of a C-contiguous array's floats are finite; looked at by so many threads at most."""
        require_jit()
        with team_of(useful_lookers(array.size, get_num_threads(threads))) as team:
            return look(array, team)

    @staticmethod
    def gradients(net, X, targets, row_weights=None, threads=None):
        """Return dL/dW and dL/db of the mean loss over the rows of X, lists of arrays shaped as the parameters."""
        rows = len(X)
        task = Task(X, targets, rows, row_weights=row_weights, threads=threads, sparse=isinstance(X, CSR))
        backend = JitBackend(net, task)
        try:
            backend.run(Chunk(np.arange(rows), np.zeros(1), 0, rows))
        finally:
            backend.close()
        weights = [np.empty_like(W) for W in net.weights]
        biases = [np.empty_like(b) for b in net.biases]
        unpack_parameters(backend._layout, backend._moments[0], weights, biases)
        return weights, biases

    @staticmethod
    def predict_proba(net, X, threads):
        """Return the outputs (n, outputs)."""
        return JitBackend.predict_and_look(net, X, threads)[0]

    @staticmethod
    def predict_and_look(net, X, threads):
        """Return the outputs (n, outputs), and whether X, which need not be, and they are finite."""
        require_jit()
        return inference.probabilities(net, X, threads)

    @staticmethod
    def losses(net, X, targets, threads):
        """Return each row's loss, and whether its outputs are right."""
        require_jit()
        return inference.losses(net, X, targets, threads)

    @staticmethod
    def inspect(net, X, threads=None):
        """Return every layer's outputs, and the slopes of the hidden ones' activations."""
        return layer_outputs(net, X, threads)
