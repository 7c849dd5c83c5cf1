"""fit: batches, schedules, validation, callbacks, and every way in which training can end."""

import copy
import os
import threading
import warnings

import numpy as np
import pytest

import fastnn
from fastnn.optimizers import SGD, Adam


def same_parameters(one, two):
    pairs = zip((*one.weights, *one.biases), (*two.weights, *two.biases), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def make_net(**settings):
    return fastnn.MLP([4, 6, 3], **{"seed": 1, **settings})


class Interrupting:
    """A reporter in which Ctrl-C arrives, after a number of chunks."""

    def __init__(self, chunks):
        self.left = chunks

    def on_chunk(self, *_):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def on_epoch(self, net, history):
        pass


class TestBatches:
    def epochs_of_rows(self, backend, epochs):
        return np.concatenate(backend.rows).reshape(epochs, -1)

    def test_every_epoch_is_a_shuffle_of_its_own(self, blobs, numpy_backend):
        make_net().fit(*blobs, epochs=3, batch_size=7)
        epochs = self.epochs_of_rows(numpy_backend.instances[0], 3)
        for rows in epochs:
            np.testing.assert_array_equal(np.sort(rows), np.arange(90))
        assert len({tuple(rows) for rows in epochs}) == 3

    def test_order_of_the_data_without_shuffle(self, blobs, numpy_backend):
        make_net().fit(*blobs, epochs=2, batch_size=7, shuffle=False)
        for rows in self.epochs_of_rows(numpy_backend.instances[0], 2):
            np.testing.assert_array_equal(rows, np.arange(90))

    def test_order_depends_on_the_seed_alone(self, blobs, numpy_backend):
        for net in (make_net(), make_net(init="zeros", dtype="float64"), make_net(seed=2)):
            net.fit(*blobs, epochs=1)
        first, same, other = (backend.rows[0] for backend in numpy_backend.instances)
        np.testing.assert_array_equal(first, same)
        assert (first != other).any()

    def test_chunks_are_whole_steps_and_the_last_batch_is_short(self, blobs, numpy_backend):
        make_net().fit(*blobs, epochs=2, batch_size=20)
        backend = numpy_backend.instances[0]
        assert [len(rows) for rows in backend.rows] == [40, 40, 10] * 2
        assert backend.first_steps == [0, 2, 4, 5, 7, 9]

    def test_batch_may_be_larger_than_the_data(self, blobs, numpy_backend):
        make_net().fit(*blobs, epochs=1, batch_size=10**9)
        assert numpy_backend.instances[0].batch_size == 90

    def test_loss_and_accuracy_are_means_over_samples(self, blobs, numpy_backend):
        net = make_net(dtype="float64")
        before = net.evaluate(*blobs)
        history = net.fit(*blobs, epochs=1, batch_size=7, learning_rate=1e-30)  # moves nothing
        assert history.loss == [pytest.approx(before.loss, rel=1e-12)]
        assert history.accuracy == [before.accuracy]

    def test_labels_may_lack_a_class(self, blobs, numpy_backend):
        X, y = blobs
        make_net().fit(X[y < 2], y[y < 2], epochs=1)


class TestReproducibility:
    def test_same_seed_same_bits(self, blobs, numpy_backend):
        nets = [make_net(), make_net(), make_net(seed=2)]
        for net in nets:
            net.fit(*blobs, epochs=2, batch_size=7)
        assert same_parameters(nets[0], nets[1])
        assert not same_parameters(nets[0], nets[2])

    def test_two_calls_are_one(self, blobs, numpy_backend):
        once, twice = make_net(), make_net()
        history = once.fit(*blobs, epochs=3, batch_size=7)
        parts = [twice.fit(*blobs, epochs=epochs, batch_size=7) for epochs in (1, 2)]
        assert same_parameters(once, twice)
        assert history.loss == parts[0].loss + parts[1].loss
        assert once.epochs_trained == twice.epochs_trained == 3

    def test_watching_changes_nothing(self, blobs, numpy_backend, capsys):
        quiet, watched = make_net(), make_net()
        quiet.fit(*blobs, epochs=2)
        watched.fit(*blobs, epochs=2, validation=blobs, callbacks=[lambda net, history: None], progress=True)
        assert same_parameters(quiet, watched)


class TestOptimizers:
    def optimizer_used(self, numpy_backend, blobs, **settings):
        make_net().fit(*blobs, epochs=1, **settings)
        return numpy_backend.instances[-1].optimizer

    @pytest.mark.parametrize(
        "settings, expected",
        [
            ({}, SGD(learning_rate=0.1)),
            ({"optimizer": "sgd", "learning_rate": 1}, SGD(learning_rate=1.0)),
            ({"optimizer": "adam"}, Adam(learning_rate=0.001)),
            ({"optimizer": "adam", "learning_rate": np.float32(0.5)}, Adam(learning_rate=0.5)),
            ({"optimizer": SGD(0.2, momentum=0.9, nesterov=True)}, SGD(0.2, 0.9, True)),
        ],
    )
    def test_names_and_objects(self, numpy_backend, blobs, settings, expected):
        assert self.optimizer_used(numpy_backend, blobs, **settings) == expected

    def test_constant_rate(self, blobs, numpy_backend):
        make_net().fit(*blobs, epochs=2, batch_size=30, learning_rate=0.25)
        assert numpy_backend.instances[0].learning_rates == [0.25] * 6

    @pytest.mark.parametrize("give", [lambda f: {"learning_rate": f}, lambda f: {"optimizer": Adam(f)}])
    def test_schedule_counts_steps_from_zero_in_each_call(self, blobs, numpy_backend, give):
        net = make_net()
        for _ in range(2):
            net.fit(*blobs, epochs=2, batch_size=30, **give(lambda step: step / 100))
        for backend in numpy_backend.instances:
            assert backend.learning_rates == [0, 0.01, 0.02, 0.03, 0.04, 0.05]

    def test_mistake_of_a_schedule_names_the_step(self, blobs, numpy_backend):
        with pytest.raises(ValueError, match=r"^learning_rate\(4\) is -0\.1; .* at least 0"):
            make_net().fit(*blobs, batch_size=30, learning_rate=lambda step: 0.1 if step < 4 else -0.1)
        with pytest.raises(TypeError, match=r"^learning_rate\(0\) is None; "):
            make_net().fit(*blobs, learning_rate=lambda step: None)

    def test_optimizers_are_fixed(self):
        with pytest.raises(AttributeError):
            SGD().learning_rate = 1


class TestHistory:
    def test_lists_have_one_entry_an_epoch(self, blobs, numpy_backend):
        net = make_net()
        history = net.fit(*blobs, epochs=4, validation=(blobs[0][:30], blobs[1][:30]))
        lists = (history.loss, history.accuracy, history.val_loss, history.val_accuracy)
        for values in (*lists, history.seconds, history.samples_per_second):
            assert len(values) == 4 and all(type(value) is float for value in values)
        assert history.stopped is None and net.history is history
        assert history.loss[-1] < history.loss[0]

    def test_validation_is_of_the_epochs_end(self, blobs, numpy_backend):
        held_out = blobs[0][:30], blobs[1][:30]
        net = make_net()
        history = net.fit(*blobs, epochs=2, validation=list(held_out))
        result = net.evaluate(*held_out)
        assert (history.val_loss[-1], history.val_accuracy[-1]) == (result.loss, result.accuracy)

    def test_without_validation(self, blobs, numpy_backend):
        history = make_net().fit(*blobs, epochs=1)
        assert history.val_loss == history.val_accuracy == []

    def test_repr_is_short(self, blobs, numpy_backend):
        assert repr(fastnn.History()) == "History(no epoch completed)"
        text = repr(make_net().fit(*blobs, epochs=30, validation=blobs))
        assert "30 epochs" in text and "val_accuracy" in text and len(text) < 120


class TestProgress:
    def test_a_line_an_epoch(self, blobs, numpy_backend, capsys):
        history = make_net().fit(*blobs, epochs=2, validation=blobs, progress=True)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[1].startswith(f"epoch 2/2  loss {history.loss[1]:.4f}  accuracy ")
        for part in (
            f"{100 * history.accuracy[1]:.2f} %",
            "validation",
            f"{history.val_loss[1]:.4f}",
            "samples/s",
        ):
            assert part in lines[1]

    def test_losses_of_values_have_no_accuracy(self, blobs, capsys):
        X, chunks = blobs[0], []

        class Reporter:
            def on_chunk(self, *arguments):
                chunks.append(arguments)

            def on_epoch(self, net, history):
                pass

        net = fastnn.MLP([4, 5, 4], loss="mean_squared_error")
        history = net.fit(X, X, epochs=1, validation=(X, X), progress=True)
        assert history.accuracy == history.val_accuracy == []
        line = f"epoch 1/1  loss {history.loss[0]:.4f}  validation loss {history.val_loss[0]:.4f}  "
        assert capsys.readouterr().out.startswith(line)
        net.fit(X, X, epochs=1, progress=Reporter())
        assert chunks and all(chunk[5] is None and chunk[4] > 0 for chunk in chunks)

    def test_silent_by_default(self, blobs, numpy_backend, capsys):
        make_net().fit(*blobs, epochs=2)
        assert capsys.readouterr().out == ""

    def test_reporter(self, blobs, numpy_backend):
        chunks, epochs = [], []

        class Reporter:
            def on_chunk(self, *args):
                chunks.append(args)

            def on_epoch(self, net, history):
                epochs.append((net, len(history.loss)))

        net = make_net()
        history = net.fit(*blobs, epochs=2, batch_size=20, progress=Reporter())
        assert [chunk[:4] for chunk in chunks] == [
            (epoch, 2, done, 90) for epoch in (1, 2) for done in (40, 80, 90)
        ]
        assert [(loss, accuracy) for *_, loss, accuracy, _ in chunks[2::3]] == list(
            zip(history.loss, history.accuracy, strict=True)
        )
        assert epochs == [(net, 1), (net, 2)]


class TestCallbacks:
    def test_called_with_the_net_as_it_is(self, blobs, numpy_backend):
        seen = []

        def look(net, history):
            seen.append((net.epochs_trained, len(history.loss), net.evaluate(*blobs).loss))

        net = make_net()
        history = net.fit(*blobs, epochs=3, validation=blobs, callbacks=[look])
        assert seen == [(1, 1, history.val_loss[0]), (2, 2, history.val_loss[1]), (3, 3, history.val_loss[2])]

    @pytest.mark.parametrize("yes", [True, np.True_])
    def test_true_stops_after_the_others_were_called(self, blobs, numpy_backend, yes):
        calls = []

        def stop(net, history):
            return yes if len(history.loss) == 2 else False

        net = make_net()
        history = net.fit(*blobs, epochs=9, callbacks=(stop, lambda net, history: calls.append(1)))
        assert len(history.loss) == len(calls) == net.epochs_trained == 2
        assert history.stopped == "stopped by stop after epoch 2"
        assert numpy_backend.instances[0].closed

    @pytest.mark.parametrize("answer", [1, 0, "stop", 0.5, [], np.zeros(2)])
    def test_any_other_answer_is_a_mistake(self, blobs, numpy_backend, answer):
        def vague(net, history):
            return answer

        with pytest.raises(
            TypeError, match=r"^callback vague returned .*; True \(stop\), False or None is needed"
        ):
            make_net().fit(*blobs, callbacks=[vague])

    def test_what_a_callback_writes_counts(self, blobs, numpy_backend):
        def reset(net, history):
            net.weights = [np.zeros_like(W) for W in net.weights]
            net.biases[0][...] = 0
            net.biases[1][...] = 0

        history = make_net().fit(*blobs, epochs=3, batch_size=90, callbacks=[reset])
        assert history.loss[1:] == [pytest.approx(np.log(3))] * 2

    def test_nan_written_by_a_callback(self, blobs, numpy_backend):
        def spoil(net, history):
            net.weights[1][2, 0] = np.nan

        with pytest.raises(ValueError, match=r"^weights\[1\]\[2, 0\] is nan"):
            make_net().fit(*blobs, callbacks=[spoil])


class TestInterruption:
    def test_between_epochs(self, blobs, numpy_backend):
        def interrupt(net, history):
            if len(history.loss) == 2:
                raise KeyboardInterrupt

        net, twin = make_net(), make_net()
        with pytest.raises(KeyboardInterrupt):
            net.fit(*blobs, epochs=9, callbacks=[interrupt])
        twin.fit(*blobs, epochs=2)
        assert same_parameters(net, twin)
        assert net.epochs_trained == 2
        assert net.history.loss == twin.history.loss
        assert net.history.stopped == "KeyboardInterrupt in epoch 2"
        assert numpy_backend.instances[0].closed

    def test_within_an_epoch(self, blobs, numpy_backend):
        net = make_net()
        with pytest.raises(KeyboardInterrupt):
            net.fit(*blobs, epochs=9, batch_size=20, progress=Interrupting(chunks=4))
        backend = numpy_backend.instances[0]
        assert len(backend.rows) == 4 and backend.closed
        for mine, trained in zip(net.weights + net.biases, backend.weights + backend.biases, strict=True):
            np.testing.assert_array_equal(mine, trained)
        assert net.epochs_trained == len(net.history.loss) == 1
        assert net.history.stopped == "KeyboardInterrupt in epoch 2"

    def test_in_the_validation(self, blobs, numpy_backend, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(numpy_backend, "losses", interrupt)
        net, twin = make_net(), make_net()
        with pytest.raises(KeyboardInterrupt):
            net.fit(*blobs, epochs=2, validation=blobs)
        twin.fit(*blobs, epochs=1)
        assert same_parameters(net, twin)
        assert net.history.loss == net.history.val_loss == []

    def test_in_the_middle_of_reading_the_parameters_back(self, blobs, numpy_backend, monkeypatch):
        pulls = []
        pull = numpy_backend.pull

        def interrupted(self):
            pulls.append(1)
            if len(pulls) == 2:
                self.net.weights[0][...] = self.weights[0]
                raise KeyboardInterrupt
            pull(self)

        monkeypatch.setattr(numpy_backend, "pull", interrupted)
        net, twin = make_net(), make_net()
        with pytest.raises(KeyboardInterrupt):
            net.fit(*blobs, epochs=9)
        monkeypatch.undo()
        monkeypatch.setattr("fastnn.backends.get", lambda name: numpy_backend)
        twin.fit(*blobs, epochs=2)
        assert same_parameters(net, twin)

    def test_parameters_that_overflowed_are_not_kept(self, blobs, numpy_backend, monkeypatch):
        def spoil(self, X, y, rate):
            self.weights[0][...] = np.inf
            raise MemoryError

        net = make_net()
        before = copy.deepcopy(net)
        monkeypatch.setattr(numpy_backend, "step", spoil)
        with pytest.raises(MemoryError):
            net.fit(*blobs)
        assert same_parameters(net, before)


class StopAfter(fastnn.callbacks.Callback):
    """Stops after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, net, history, step, loss):
        return step == self.steps - 1


class TestDivergence:
    @pytest.mark.parametrize("bad_step", [0, 4, 5])
    def test_the_parameters_from_before_the_step_are_kept(self, blobs, numpy_backend, bad_step):
        # Three steps an epoch. The loss shows a bad step one later; after an epoch's last the parameters do.
        net, twin = make_net(), make_net()
        rates = {"learning_rate": lambda step: 1e39 if step == bad_step else 0.1}
        with pytest.raises(
            fastnn.TrainingDiverged, match=f"step {bad_step} .*learning rate too high"
        ) as caught:
            net.fit(*blobs, epochs=9, batch_size=30, **rates)
        epoch = bad_step // 3
        assert (caught.value.step, caught.value.epoch) == (bad_step, epoch + 1)
        if bad_step:
            twin.fit(*blobs, epochs=9, batch_size=30, **rates, callbacks=[StopAfter(bad_step)])
        assert same_parameters(net, twin)
        assert net.epochs_trained == len(net.history.loss) == epoch
        assert net.history.stopped == f"TrainingDiverged in epoch {epoch + 1}"
        assert numpy_backend.instances[0].closed

    def test_in_the_first_step(self, blobs, numpy_backend):
        net = make_net()
        net.weights[0][...] *= 100
        before = copy.deepcopy(net)
        with pytest.raises(ArithmeticError, match=r"activations of layer 0 .* step 0 .*inputs not scaled"):
            net.fit(blobs[0] * np.float32(2e38), blobs[1], batch_size=9)
        assert same_parameters(net, before)
        net.fit(*blobs, epochs=1)  # and it can be trained


class TestConcurrency:
    def test_same_network_twice(self, blobs, numpy_backend):
        net = make_net()
        with pytest.raises(RuntimeError, match="being trained already"):
            net.fit(*blobs, callbacks=[lambda net, history: net.fit(*blobs)])
        net.fit(*blobs, epochs=1)

    def test_copies_within_training(self, blobs, numpy_backend):
        copies = []

        def go_on(net, history):
            copies.append(copy.deepcopy(net))
            copies[-1].fit(*blobs, epochs=1)

        net = make_net()
        net.fit(*blobs, epochs=2, callbacks=[go_on])
        assert same_parameters(copies[0], copies[1]) is False
        assert same_parameters(copies[0], net)

    def test_networks_in_threads(self, blobs, numpy_backend):
        nets = [make_net(seed=seed) for seed in range(4)]
        threads = [threading.Thread(target=net.fit, args=blobs) for net in nets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for seed, net in enumerate(nets):
            twin = make_net(seed=seed)
            twin.fit(*blobs)
            assert same_parameters(net, twin)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_forked_child_may_train_what_its_parent_is_training(self, blobs, numpy_backend):
        statuses = []

        def fork(net, history):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python 3.12 warns of forking where there are threads
                child = os.fork()
            if child == 0:
                try:
                    net.fit(*blobs, epochs=1)
                    os._exit(0)
                finally:
                    os._exit(1)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        make_net().fit(*blobs, epochs=1, callbacks=[fork])
        assert statuses == [0]


@pytest.mark.parametrize("backend", ["jit", "reference"])
class TestRealBackends:
    """The same promises, kept by the backends that users have."""

    def test_two_calls_are_one_and_it_learns(self, blobs, backend):
        once, twice = make_net(), make_net()
        settings = {"batch_size": 7, "learning_rate": 0.3, "backend": backend}
        history = once.fit(*blobs, epochs=4, **settings)
        twice.fit(*blobs, epochs=1, **settings)
        twice.fit(*blobs, epochs=3, **settings)
        assert same_parameters(once, twice)
        assert history.accuracy[-1] == 1

    @pytest.mark.parametrize("optimizer", ["sgd", SGD(0.1, 0.9), SGD(0.1, 0.9, True), Adam(0.01)])
    def test_interrupted_is_as_far_as_it_got(self, blobs, backend, optimizer):
        X, y = blobs[0][:24], blobs[1][:24]

        def interrupt(net, history):
            if len(history.loss) == 2:
                raise KeyboardInterrupt

        net, twin = make_net(), make_net()
        settings = {"batch_size": 5, "optimizer": optimizer, "backend": backend}
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, y, epochs=9, callbacks=[interrupt], **settings)
        twin.fit(X, y, epochs=2, **settings)
        assert same_parameters(net, twin)

    def test_interrupted_within_an_epoch(self, blobs, backend):
        net = make_net()
        before = copy.deepcopy(net)
        with pytest.raises(KeyboardInterrupt):
            net.fit(*blobs, progress=Interrupting(chunks=1), backend=backend)
        assert not same_parameters(net, before)
        assert net.epochs_trained == 0

    def test_divergence(self, blobs, backend):
        net, twin = make_net(), make_net()
        with pytest.raises(fastnn.TrainingDiverged, match="epoch 1, step 1 ") as caught:
            net.fit(*blobs, batch_size=9, learning_rate=1e30, backend=backend)
        stop = StopAfter(caught.value.step)
        twin.fit(*blobs, batch_size=9, learning_rate=1e30, backend=backend, callbacks=[stop])
        assert same_parameters(net, twin)

    def test_callback_resets_the_parameters(self, blobs, backend):
        def reset(net, history):
            for array in (*net.weights, *net.biases):
                array[...] = 0

        history = make_net().fit(*blobs, epochs=2, batch_size=90, callbacks=[reset], backend=backend)
        assert history.loss[1] == pytest.approx(np.log(3), rel=1e-6)

    def test_validation(self, blobs, backend):
        net = make_net()
        history = net.fit(*blobs, epochs=1, validation=blobs, backend=backend)
        result = net.evaluate(*blobs)
        assert history.val_loss[0] == pytest.approx(result.loss, rel=1e-5)
        assert history.val_accuracy[0] == result.accuracy
