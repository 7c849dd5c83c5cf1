"""`fastnn train`: train a network, test it, save it."""

import os
import sys
from pathlib import Path

import fastnn
from fastnn import checks
from fastnn.backends.jit import needs_compiling
from fastnn.cli import defaults
from fastnn.cli.data import training_data
from fastnn.cli.display import percent
from fastnn.cli.progress import make_progress
from fastnn.cli.scores import print_halves
from fastnn.cli.signals import held


def run(args) -> int:
    """Train, save and test; return 0."""
    for option in ("epochs", "batch_size", "threads"):
        if getattr(args, option) is not None:
            checks.whole_number(getattr(args, option), f"--{option.replace('_', '-')}")
    output = model_path(args.output, args.dataset)
    optimizer = make_optimizer(args)
    train, test, classes, source = training_data(args)
    print(source)
    validation = None
    if args.validation is not None:
        train, validation = fastnn.datasets.split(train, args.validation, seed=defaults.SPLIT_SEED)
        print(f"{len(validation):,} of the training rows are for validation, which leaves {len(train):,}")
    sizes = [train.X.shape[1], *hidden_sizes(args.hidden), classes]
    net = fastnn.MLP(sizes, args.activation, args.init, args.dtype, args.seed)
    net.classes = train.classes
    print(describe(net, args, optimizer), flush=True)
    if needs_compiling():
        compile_kernels(args.dtype)

    history = fit(net, train, validation, optimizer, output, args)
    replaced = output.exists()
    with held():  # before the test, which may be interrupted
        net.save(output)

    result = net.evaluate(test.X, test.y, threads=args.threads)
    seconds = sum(history.seconds)
    print(f"test accuracy: {percent(result.accuracy)}")
    print_halves(net, test, args.dataset)
    print(f"test loss: {result.loss:.4f}")
    rate = args.epochs * len(train) / seconds
    print(f"training: {seconds:.2f} s, {rate:,.0f} samples/s, {history.inputs} inputs")
    print(f"model: {output}{', in place of the file that was there' if replaced else ''}")
    return 0


def fit(net, train, validation, optimizer, output: Path, args):
    """Train with a progress display; where a person stops it, save what was trained so far and raise on."""
    progress = make_progress(args.epochs, live=not args.no_progress)
    try:
        with progress:
            return net.fit(
                train.X,
                train.y,
                epochs=args.epochs,
                batch_size=args.batch_size,
                optimizer=optimizer,
                validation=None if validation is None else (validation.X, validation.y),
                threads=args.threads,
                backend=args.backend,
                progress=progress,
            )
    except (KeyboardInterrupt, BrokenPipeError):  # stopped, or the reader of the progress left
        with held():
            print(f"fastnn: {keep(net, output, progress, len(train))}", file=sys.stderr)
        raise


def model_path(output: str | None, data: str) -> Path:
    """Return where the model will go, known to be writable before any time is spent on training."""
    path = Path(f"{Path(data).stem}.safetensors" if output is None else output)
    if not path.name or path.is_dir():
        raise ValueError(f"--output is {str(path)!r}, a folder; the name of a file is needed")
    if not path.parent.is_dir():
        raise ValueError(f"--output is {str(path)!r}, but there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"--output is {str(path)!r}, but nothing can be written to the folder {str(path.parent)!r}"
        )
    return path


def hidden_sizes(layers: list[int]) -> list[int]:
    """Return the sizes of the hidden layers; 0 is the parser's `none`."""
    if 0 in layers and len(layers) > 1:
        raise ValueError("--hidden has none beside other sizes; either none or sizes are needed")
    return [size for size in layers if size]


def make_optimizer(args):
    """Return the optimiser that the options describe."""
    rate = defaults.LEARNING_RATE[args.optimizer] if args.learning_rate is None else args.learning_rate
    if args.optimizer == "sgd":
        momentum = defaults.MOMENTUM if args.momentum is None else args.momentum
        return fastnn.optimizers.SGD(learning_rate=rate, momentum=momentum, nesterov=args.nesterov)
    if args.momentum is not None or args.nesterov:
        raise ValueError("--momentum and --nesterov are settings of --optimizer sgd; adam has none of them")
    return fastnn.optimizers.Adam(learning_rate=rate)


def describe(net, args, optimizer) -> str:
    """Return the network and the settings of its training in one line."""
    parameters = sum(array.size for array in (*net.weights, *net.biases))
    settings = ["-".join(map(str, net.sizes)), f"{parameters:,} parameters", str(net.dtype), args.optimizer]
    settings.append(f"learning rate {optimizer.learning_rate:g}")
    if args.optimizer == "sgd" and optimizer.momentum:
        settings.append(f"{'Nesterov ' if optimizer.nesterov else ''}momentum {optimizer.momentum:g}")
    settings += [f"batches of {args.batch_size}", f"seed {args.seed}"]
    if args.backend == "jit":
        threads = fastnn.get_num_threads(args.threads)
        settings.append(f"up to {threads} threads" if threads > 1 else "1 thread")
    else:
        settings.append("in plain Python")
    return ", ".join(settings)


def compile_kernels(dtype: str) -> None:
    """Compile in this thread, where Ctrl-C is heard: a team of threads would finish compiling first."""
    wait = f"about {defaults.COMPILE_SECONDS} s"
    print(f"compiling the kernels for this processor, once: {wait}", flush=True)
    tiny = fastnn.MLP([1, 2], dtype=dtype)
    tiny.fit([[0.0]], [0], epochs=1, threads=1)
    tiny.evaluate([[0.0]], [0], threads=1)


def keep(net, output: Path, progress, rows: int) -> str:
    """Save an interrupted network, if it was trained at all, and say so."""
    if not progress.trained_rows:
        return "stopped before the first step; no model is written"
    net.save(output)
    return f"stopped after {progress.trained_rows / rows:.1f} epochs; the model trained so far is {output}"
