"""The reference's training step and its backend against hand-computed numbers and hand-written sequences."""

import copy
import math
import sys
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from fastnn.backends import Chunk, Task
from fastnn.backends.reference import ReferenceBackend
from fastnn.reference import SGD, Adam, backward, forward, loss_and_gradients, train_step
from fastnn.reference.activations import ACTIVATIONS
from fastnn.reference.dropout import mask, step_masks

EPS = sys.float_info.epsilon


def small_network():
    """Its first unit is active and its second is not, for the one sample; both logits are 2."""
    weights = [[[1.0, -1.0], [0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]]
    biases = [[0.0, -1.0], [1.0, 0.0]]
    return weights, biases, [[1.0, 2.0]], [0]


# forward and backward


def test_a_step_by_hand():
    weights, biases, X, labels = small_network()
    loss, correct, dW, db = loss_and_gradients(weights, biases, X, labels)
    assert loss == math.log(2)
    assert correct == 1  # of equal logits the first counts
    assert dW == [[[0.5, 0.0], [1.0, 0.0]], [[-0.5, 0.5], [0.0, 0.0]]]
    assert db == [[0.5, 0.0], [-0.5, 0.5]]

    assert train_step(weights, biases, X, labels, learning_rate=0.5) == (math.log(2), 1)
    assert weights == [[[0.75, -1.0], [-0.5, 0.0]], [[1.25, 1.75], [3.0, 4.0]]]
    assert biases == [[-0.25, -1.0], [1.25, -0.25]]


def test_forward_keeps_what_backward_needs():
    weights, biases, X, _ = small_network()
    Z, A = forward(weights, biases, X)
    assert Z == [[[1.0, -2.0]], [[2.0, 2.0]]]
    assert A == [X, [[1.0, 0.0]]]
    assert backward(weights, Z, A, [[0.0, 0.0]])[1] == [[0.0, 0.0], [0.0, 0.0]]


def test_identity_lets_negative_numbers_and_their_gradient_through():
    weights, biases, X, _ = small_network()
    Z, A = forward(weights, biases, X, "identity")
    assert Z[1] == [[1.0 * 1 - 2.0 * 3 + 1, 1.0 * 2 - 2.0 * 4]]
    dW, db = backward(weights, Z, A, [[1.0, 0.0]], "identity")
    assert db == [[1.0, 3.0], [1.0, 0.0]]
    assert dW == [[[1.0, 3.0], [2.0, 6.0]], [[1.0, 0.0], [-2.0, 0.0]]]


def test_gradients_accumulate_over_the_rows_of_a_batch_and_the_columns_of_the_next_layer():
    weights, biases, X, labels = small_network()
    _, _, dW, db = loss_and_gradients(weights, biases, X, labels)
    # The same row four times has the same mean; the gradients that two columns send back are added.
    assert loss_and_gradients(weights, biases, X * 4, labels * 4)[2:] == (dW, db)
    Z, A = forward(weights, biases, X)
    assert backward(weights, Z, A, [[1.0, 1.0]])[1][0] == [1.0 + 2.0, 0.0]


@pytest.mark.parametrize("activation", [*ACTIVATIONS, ["tanh", (math.sin, math.cos)]], ids=str)
def test_gradients_are_the_slopes_of_the_loss(activation):
    rng = np.random.default_rng(3)
    sizes = (4, 5, 3, 3)
    shapes = list(pairwise(sizes))
    weights = [rng.normal(size=shape).tolist() for shape in shapes]
    biases = [rng.normal(size=shape[1]).tolist() for shape in shapes]
    X, labels = rng.normal(size=(6, 4)).tolist(), [0, 1, 2, 0, 1, 2]
    _, _, dW, db = loss_and_gradients(weights, biases, X, labels, activation)
    rows = [row for W in weights for row in W] + biases
    gradients = [row for W in dW for row in W] + db
    h = 1e-5

    def loss():
        return loss_and_gradients(weights, biases, X, labels, activation)[0]

    for row, gradient in zip(rows, gradients, strict=True):
        for i, p in enumerate(row):
            row[i] = p + h
            above = loss()
            row[i] = p - h
            slope = (above - loss()) / (2 * h)
            row[i] = p
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_a_dead_layer_has_gradients_of_zero():
    weights, biases = [[[-1.0, -1.0]], [[1.0, 2.0], [3.0, 4.0]]], [[0.0, 0.0], [0.0, 0.0]]
    _, _, dW, db = loss_and_gradients(weights, biases, [[1.0]], [1])
    assert dW == [[[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    assert db == [[0.0, 0.0], [0.5, -0.5]]


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        ({"name": "cross_entropy", "label_smoothing": 0.2}, [[0.5, 0.5], [1.0, 0.0]]),
        ("binary_cross_entropy", [[0.0, 1.0], [1.0, 1.0]]),
        ({"name": "huber", "delta": 0.5}, [[0.5, 9.0], [2.0, 0.0]]),
    ],
)
def test_every_loss_is_a_weighted_mean(loss, targets):
    weights, biases, _, _ = small_network()
    X = [[1.0, 2.0], [0.5, 1.0]]
    (one, *_), (other, *_) = (
        loss_and_gradients(weights, biases, X[i : i + 1], targets[i : i + 1], loss=loss) for i in range(2)
    )
    mean, _, dW, _ = loss_and_gradients(weights, biases, X, targets, loss=loss, row_weights=[3.0, 1.0])
    assert mean == pytest.approx((3 * one + other) / 4, rel=4 * EPS)
    assert dW != loss_and_gradients(weights, biases, X, targets, loss=loss)[2]


def test_rows_that_weigh_nothing_change_nothing():
    weights, biases, X, labels = small_network()
    before = copy.deepcopy((weights, biases))
    assert train_step(weights, biases, X, labels, row_weights=[0.0]) == (0.0, 1)
    assert (weights, biases) == before


# dropout


def test_masks_have_the_numbers_of_dropout():
    M = mask(50, 40, 0.3, 12345)
    numbers = [number for row in M for number in row]
    assert set(numbers) == {0.0, 1 / 0.7}
    assert numbers.count(0.0) / 2000 == pytest.approx(0.3, abs=3 * math.sqrt(0.3 * 0.7 / 2000))
    assert mask(20, 40, 0.3, 12345) == M[:20]  # counted row by row
    assert mask(1, 2, 0.0, 1) == [[1.0, 1.0]]


def test_every_place_has_a_mask_of_its_own():
    first, none, second = step_masks([0.5, 0.0, 0.5], 8, [6, 3, 6], 7)
    assert none is None
    assert first != second
    assert first != step_masks([0.5], 8, [6], 9)[0]


def test_masks_by_hand():
    weights, biases, X, _ = small_network()
    weights[0] = [[1.0, 1.0], [1.0, 1.0]]
    masks = [[[0.0, 2.0]], [[2.0, 0.0]]]
    Z, A = forward(weights, biases, X, "relu", masks)
    assert A == [[[0.0, 4.0]], [[8.0, 0.0]]]
    assert Z[1] == [[9.0, 16.0]]
    dW, db = backward(weights, Z, A, [[1.0, 0.0]], "relu", masks)
    assert db[0] == [2.0, 0.0]
    assert dW == [[[0.0, 0.0], [8.0, 0.0]], [[8.0, 0.0], [0.0, 0.0]]]


# checks


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (dict(X=[[1.0, 2.0, 3.0]]), ValueError, r"weights\[0\] has 2 rows but X has 3 columns"),
        (dict(X=[]), ValueError, "X has no rows"),
        (dict(X=[["1", "2"]]), TypeError, r"X\[0\]\[0\]"),
        (dict(labels=[2]), ValueError, r"labels\[0\] is 2"),
        (dict(labels=[0, 1]), ValueError, "labels has 2 entries"),
        (dict(labels=0), ValueError, "labels is the number 0"),
        (dict(weights=[[[1.0]] * 2, [[1.0, 2.0]] * 2]), ValueError, r"biases\[0\] has 2 numbers"),
        (dict(weights=[[[1.0, 1.0]] * 2, [[1.0, 2.0]]]), ValueError, r"weights\[1\] has 1 rows"),
        (dict(weights=[]), ValueError, "weights has 0 layers"),
        (dict(biases=[[0.0, 0.0]]), ValueError, "weights has 2 layers and biases 1"),
        (dict(weights=None), TypeError, "weights is"),
        (dict(biases=[(0.0, 0.0), [0.0, 0.0]]), TypeError, "must be lists"),
        (dict(activation="than"), ValueError, "activation is 'than'"),
        (dict(activation=["relu", "tanh"]), ValueError, "activation has 2 entries; 1 are needed"),
        (dict(loss="squares"), ValueError, "loss is 'squares'"),
        (dict(row_weights=[1.0, 1.0]), ValueError, "weights has 2 numbers; 1 are needed"),
        (dict(optimizer="adam"), TypeError, "optimizer is 'adam'"),
        (dict(learning_rate="fast"), TypeError, "learning_rate"),
    ],
)
def test_a_bad_step_names_its_argument_and_changes_nothing(change, error, words):
    weights, biases, X, labels = small_network()
    arguments = dict(weights=weights, biases=biases, X=X, labels=labels) | change
    before = copy.deepcopy(arguments)
    with pytest.raises(error, match=words):
        train_step(**arguments)
    assert arguments == before


# optimisers


def positions(optimizer, gradients, learning_rate=0.5):
    """Where a parameter that starts at 1 is after each of the gradients."""
    p, path = [[1.0]], []
    for g in gradients:
        optimizer.update(p, [[g]], learning_rate)
        path.append(p[0][0])
    return path


def test_plain_descent():
    assert positions(SGD(), [1.0, 2.0, -4.0]) == [0.5, -0.5, 1.5]


def test_momentum():
    # v = 1, 2.5, 5.25
    assert positions(SGD(momentum=0.5), [1.0, 2.0, 4.0]) == [0.5, -0.75, -3.375]


def test_nesterov():
    # v = 1, 2.5, 5.25; d = g + v / 2 = 1.5, 3.25, 6.625
    assert positions(SGD(momentum=0.5, nesterov=True), [1.0, 2.0, 4.0]) == [0.25, -1.375, -4.6875]


def test_adam():
    # m = 1, 0, 2; v = 1, 1, 4.75; 1 - β1^t = 1/2, 3/4, 7/8; 1 - β2^t = 1/4, 7/16, 37/64
    first = (1 / (1 / 2)) / (math.sqrt(1 / (1 / 4)) + 1)
    third = (2 / (7 / 8)) / (math.sqrt(4.75 / (37 / 64)) + 1)
    path = positions(Adam(beta1=0.5, beta2=0.75, epsilon=1.0), [2.0, -1.0, 4.0])
    expected = [1 - 0.5 * first, 1 - 0.5 * first, 1 - 0.5 * first - 0.5 * third]
    assert path == pytest.approx(expected, rel=4 * EPS)


def test_adam_starts_with_steps_of_the_learning_rate():
    (first,) = positions(Adam(), [1e-3], learning_rate=0.25)
    assert first == pytest.approx(0.75, abs=0.25 * 1e-8 / 1e-3)


def test_the_learning_rate_may_change_between_steps():
    optimizer, p = SGD(momentum=0.5), [[0.0]]
    optimizer.update(p, [[1.0]], 1.0)
    optimizer.update(p, [[1.0]], 0.0)
    optimizer.update(p, [[1.0]], 2.0)
    assert p == [[-1.0 - 2.0 * 1.75]]


def test_every_parameter_has_a_state_of_its_own():
    optimizer, p = SGD(momentum=0.5), [[0.0, 0.0], [0.0]]
    optimizer.update(p, [[1.0, 0.0], [-2.0]], 1.0)
    optimizer.update(p, [[0.0, 0.0], [0.0]], 1.0)
    assert p == [[-1.5, 0.0], [3.0]]


@pytest.mark.parametrize("optimizer", [SGD(), SGD(0.9), SGD(0.9, True), Adam()])
def test_training_learns_clusters(optimizer, blobs):
    X, y = blobs
    rng = np.random.default_rng(0)
    weights, biases = (
        [rng.normal(size=(4, 6)).tolist(), rng.normal(size=(6, 3)).tolist()],
        [[0.0] * 6, [0.0] * 3],
    )
    optimizer = copy.deepcopy(optimizer)
    rate = 0.02 if isinstance(optimizer, Adam) else 0.1
    for _ in range(60):
        loss, correct = train_step(weights, biases, X, y, rate, optimizer)
    assert correct >= 85
    assert loss < 0.4


# the backend


def a_network(dtype="float64", **settings):
    return fastnn.MLP([4, 5, 3], dtype=dtype, seed=4, **settings)


@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        (optimizers.SGD(momentum=0.9), SGD(0.9)),
        (optimizers.SGD(momentum=0.5, nesterov=True), SGD(0.5, True)),
        (optimizers.Adam(beta1=0.8, beta2=0.95, epsilon=1e-3), Adam(0.8, 0.95, 1e-3)),
    ],
)
def test_the_backend_makes_the_steps_of_train_step(settings, optimizer, blobs):
    X, y = blobs[0].astype(np.float64), blobs[1]
    net = a_network()
    weights, biases = [W.tolist() for W in net.weights], [b.tolist() for b in net.biases]
    optimizer = copy.deepcopy(optimizer)
    run = ReferenceBackend(net, Task(X, y, 32, settings))
    arrays = list(net.weights)
    # Batches of 32 and a last one of 26, in two calls.
    rows, rates = np.random.default_rng(1).permutation(90), [0.1, 0.05, 0.025]
    first = run.run(Chunk(rows[:64], np.array(rates[:2]), 0, 32))
    second = run.run(Chunk(rows[64:], np.array(rates[2:]), 2, 32))
    run.pull()
    run.close()
    losses, correct, totals = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    assert totals.tolist() == [32.0, 32.0, 26.0]
    for step, rate in enumerate(rates):
        batch = rows[32 * step : 32 * (step + 1)]
        expected = train_step(weights, biases, X[batch].tolist(), y[batch].tolist(), rate, optimizer)
        assert (losses[step], correct[step]) == expected
    assert losses.dtype == np.float64
    assert correct.dtype == np.int64
    assert [W.tolist() for W in net.weights] == weights
    assert [b.tolist() for b in net.biases] == biases
    assert all(a is b for a, b in zip(arrays, net.weights, strict=True))


def test_pull_rounds_and_push_reads(blobs):
    X, y = blobs
    net = a_network("float32")
    run = ReferenceBackend(net, Task(X, y, 90, optimizers.SGD()))
    run.run(Chunk(np.arange(90), np.array([0.1]), 0, 90))
    before = net.weights[0].copy()
    run.pull()
    assert net.weights[0].dtype == np.float32
    assert (net.weights[0] != before).any()
    net.weights[:] = [np.zeros_like(W) for W in net.weights]
    net.biases[:] = [np.zeros_like(b) for b in net.biases]
    run.push()
    losses, _, _ = run.run(Chunk(np.arange(90), np.array([0.1]), 1, 90))
    assert losses[0] == pytest.approx(math.log(3), rel=4 * EPS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 90, 270])
def test_the_backend_evaluates(dtype, rows, blobs):
    net = a_network(dtype)
    X, y = np.tile(blobs[0], (3, 1))[:rows].astype(dtype), np.tile(blobs[1], 3)[:rows]
    proba = ReferenceBackend.predict_proba(net, X, None)
    assert proba.shape == (rows, 3)
    assert proba.dtype == dtype
    losses, right = ReferenceBackend.losses(net, X, y, None)
    # log p has the error of p, relative to 1, however small p is: p is rounded to the dtype.
    assert losses.mean() == pytest.approx(
        -np.log(proba[np.arange(rows), y]).mean(dtype=np.float64), abs=8 * float(np.finfo(dtype).eps)
    )
    assert (right == (proba.argmax(axis=1) == y)).all()
    dW, db = ReferenceBackend.gradients(net, X, y)
    _, _, expected_dW, expected_db = loss_and_gradients(net.weights, net.biases, X, y)
    assert [g.tolist() for g in dW] == expected_dW
    assert [g.tolist() for g in db] == expected_db
    assert {g.dtype for g in dW + db} == {np.dtype(np.float64)}
    assert [g.shape for g in dW + db] == [p.shape for p in [*net.weights, *net.biases]]


def test_fit_on_the_reference(blobs):
    X, y = blobs
    net = a_network("float32")
    history = net.fit(X, y, epochs=15, batch_size=16, backend="reference", validation=(X, y))
    assert history.loss[-1] < history.loss[0] / 2
    assert history.val_accuracy[-1] >= 0.95


def test_a_callback_that_only_looks_changes_nothing(blobs):
    X, y = blobs
    nets = [a_network("float32"), a_network("float32")]
    nets[0].fit(X, y, epochs=3, backend="reference")
    nets[1].fit(X, y, epochs=3, backend="reference", callbacks=[lambda net, history: None])
    for a, b in zip(nets[0].weights, nets[1].weights, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [optimizers.SGD(1e300, 0.9), optimizers.Adam(1e300)])
def test_a_diverged_run_says_so(dtype, optimizer, blobs):
    X, y = blobs
    net = a_network(dtype)
    with pytest.raises(fastnn.TrainingDiverged):
        net.fit(X, y, epochs=5, batch_size=10, optimizer=optimizer, backend="reference")
    assert all(np.isfinite(W).all() for W in net.weights)
