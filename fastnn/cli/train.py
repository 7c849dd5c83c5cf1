"""`fastnn train`: train a network, test it, save it."""

import copy
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fastnn
from fastnn.backends.jit import needs_compiling
from fastnn.cli import defaults
from fastnn.cli.describe import describe
from fastnn.cli.progress import make_progress
from fastnn.cli.recipe import make_recipe
from fastnn.cli.scores import print_halves, print_test
from fastnn.cli.signals import held
from fastnn.recipes import Recipe, Samples


def run(args) -> int:
    """Train, save and test; return 0."""
    recipe = make_recipe(args)
    output = model_path(args, recipe)
    data = recipe.data()
    print_data(data)
    net = recipe.network(data)
    print(describe(net, recipe, args.threads), flush=True)
    if needs_compiling():
        compile_kernels(net)

    history = fit(net, data, recipe, output, args)
    replaced = output.exists()
    with held():  # before the test, which may be interrupted
        save(net, data, recipe, output)

    if history.stopped is not None:
        print(f"training ended early: {history.stopped}")
    print_test(net, data.test)
    print_halves(net, data.test, data.source)
    seconds = sum(history.seconds)
    rate = f", {len(history.loss) * len(data.train) / seconds:,.0f} samples/s" if seconds else ""
    print(f"training: {seconds:.2f} s{rate}, {history.inputs} inputs")
    print(f"model: {output}{', in place of the file that was there' if replaced else ''}")
    if data.preparation is not None and not recipe.folds:
        print(f"its inputs must be prepared: fastnn evaluate {output} --recipe {args.recipe}")
    return 0


def print_data(data: Samples) -> None:
    """Say where the rows come from, and what was done to them."""
    rows = len(data.train) + (0 if data.validation is None else len(data.validation))
    what = "numbers" if data.train.y.ndim == 2 else "classes"
    outputs = f"{2 if what == 'classes' and data.outputs == 1 else data.outputs} {what}"
    text = f"{data.source}: {rows:,} rows to train on, {len(data.test):,} to test on ({data.test_note})"
    print(f"{text}; {data.train.X.shape[1]:,} inputs, {outputs}")
    if data.preparation is not None:
        print(f"prepared: {data.preparation!r}")
    for note in data.notes:
        print(note)
    if data.validation is not None:
        print(
            f"{len(data.validation):,} of the training rows are for validation, which leaves {len(data.train):,}"
        )


def fit(net: fastnn.MLP, data: Samples, recipe: Recipe, output: Path, args) -> fastnn.History:
    """Train with a progress display; where a person stops it, save what was trained so far and raise on."""
    progress = make_progress(recipe.epochs, live=not args.no_progress)
    try:
        with progress, short_warnings():
            return recipe.train(net, data, progress=progress)
    except (KeyboardInterrupt, BrokenPipeError):  # stopped, or the reader of the progress left
        with held():
            print(f"fastnn: {keep(net, data, recipe, output, progress)}", file=sys.stderr)
        raise


@contextmanager
def short_warnings() -> Iterator[None]:
    """Within it a warning is a line on stderr, without the place in the code where it was given."""

    def show(message, *_):
        print(f"fastnn: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def model_path(args, recipe: Recipe) -> Path:
    """Return where the model will go, known to be writable before any time is spent on training."""
    table = recipe.tables["data"]
    named = args.recipe if args.recipe is not None else table.get("name", table.get("file"))
    path = Path(f"{Path(named).stem}.safetensors" if args.output is None else args.output)
    if not path.name or path.is_dir():
        raise ValueError(f"--output is {str(path)!r}, a folder; the name of a file is needed")
    if not path.parent.is_dir():
        raise ValueError(f"--output is {str(path)!r}, but there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"--output is {str(path)!r}, but nothing can be written to the folder {str(path.parent)!r}"
        )
    return path


def compile_kernels(net: fastnn.MLP) -> None:
    """Compile in this thread, where Ctrl-C is heard: a team of threads would finish compiling first."""
    wait = f"about {defaults.COMPILE_SECONDS} s"
    print(f"compiling the kernels for this processor, once: {wait}", flush=True)
    labels = net.loss.kind == "classes"
    sizes = [1] * (len(net.sizes) - 1) + [2 if labels else 1]
    tiny = fastnn.MLP(sizes, net.activations, dtype=net.dtype, loss=net.loss)
    tiny.fit([[0.0]], [0], epochs=1, threads=1, anomalies="ignore")
    tiny.evaluate([[0.0]], [0], threads=1)


def save(net: fastnn.MLP, data: Samples, recipe: Recipe, output: Path) -> None:
    """Write the model, which takes unprepared inputs where that is possible."""
    if recipe.folds:
        net = copy.deepcopy(net)
        recipe.fold(net, data)
    net.save(output)


def keep(net: fastnn.MLP, data: Samples, recipe: Recipe, output: Path, progress) -> str:
    """Save an interrupted network, if it was trained at all, and say so."""
    if not progress.trained_rows:
        return "stopped before the first step; no model is written"
    save(net, data, recipe, output)
    epochs = progress.trained_rows / len(data.train)
    return f"stopped after {epochs:.1f} epochs; the model trained so far is {output}"
