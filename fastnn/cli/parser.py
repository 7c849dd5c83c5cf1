"""What may stand on the command line: one function for each command, with its examples."""

import argparse

from fastnn.cli import defaults
from fastnn.cli.values import layer, number, part, whole

EXAMPLES = """\
examples:
  fastnn train                              train on the digits that come with fastnn
  fastnn recipes                            whole training set-ups, for fastnn train --recipe NAME
  fastnn evaluate mnist-small.safetensors   how good the model is, class by class
  fastnn predict mnist-small.safetensors images.npz
  fastnn info --warm-up                     compile everything now, not at the first training
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        """Leave with status 2."""
        self.exit(2, f"fastnn: error: {message}; see {self.prog} --help\n")


class Version(argparse.Action):
    """Print the version; it is looked up only when asked for."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Print and leave with status 0."""
        from importlib.metadata import version

        print(f"fastnn {version('fastnn-cpu')}")
        parser.exit()


def make_parser() -> Parser:
    """Return the parser of the whole command line; the result's `command` names the module that runs it."""
    parser = Parser(
        prog="fastnn",
        description="Train dense neural networks on CPUs, and use them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_train, _add_recipes, _add_evaluate, _add_predict, _add_gradcheck, _add_bench, _add_info):
        add(commands)
    return parser


def _command(commands, name: str, summary: str, examples: list[tuple[str, str]], note: str = "") -> Parser:
    width = max(len(command) for command, _ in examples) + 3
    lines = [note, ""] if note else []
    lines += ["examples:", *(f"  {command:{width}}{meaning}".rstrip() for command, meaning in examples)]
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_data(parser: Parser, note: str = "", default: str | None = defaults.DATA) -> None:
    shown = defaults.DATA if default else f"{defaults.DATA}, or the recipe's"
    sets = f"mnist-small, mnist, digits{note}, or an .npz or .csv file (default {shown})"
    labels = "the column of a .csv file, or the array of an .npz file, with the labels"
    parser.add_argument("dataset", nargs="?", default=default, metavar="DATA", help=sets)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--label", metavar="NAME", help=labels)
    numbers = "columns, or the array, with numbers to predict instead"
    what.add_argument("--target", dest="targets", nargs="+", metavar="NAME", help=numbers)
    parser.add_argument("--data", metavar="DIR", help="the folder of the four files of mnist")


def _add_train(commands) -> None:
    parser = _command(
        commands,
        "train",
        "train a network, test it, and save it",
        [
            ("fastnn train", "the digits that come with fastnn"),
            ("fastnn train mnist --data ~/mnist --epochs 20", ""),
            ("fastnn train --hidden 256 128 --optimizer adam", "two hidden layers"),
            ("fastnn train flowers.csv --label species --hidden none", "a linear model of your own data"),
            ("fastnn train houses.csv --target price --loss huber", "numbers instead of classes"),
            ("fastnn train --recipe deriv8-ours --seed 3", "a recipe, with another seed"),
            (
                "fastnn train --checkpoint run.ckpt --resume",
                "go on where an earlier run stopped, if there was one",
            ),
        ],
        note="Ctrl-C stops the training and saves the model as trained so far.",
    )
    _add_data(parser, default=None)
    add = parser.add_argument
    recipe = "a set-up that fastnn recipes lists, or a .toml file; the other options change it"
    add("--recipe", metavar="NAME", help=recipe)
    add("--output", metavar="PATH", help="the model file to write (default DATA.safetensors in this folder)")
    add("--no-progress", action="store_true", help="print a line an epoch at a terminal, too")

    data = parser.add_argument_group(
        "parts of the data", "PART is a fraction, such as 0.1, or a number of rows."
    )
    test = data.add_mutually_exclusive_group()
    default = f"of a file's rows, to test on and not to train on (default {defaults.TEST_PART})"
    test.add_argument("--test", type=part, metavar="PART", help=default)
    test.add_argument("--test-data", metavar="FILE", help="test on the rows of this file instead")
    data.add_argument("--validation", type=part, metavar="PART", help="of the training rows, to validate on")
    distorted = "train on distorted copies of the images, other ones each epoch"
    data.add_argument("--augment", action="store_true", help=distorted)
    _add_network(parser.add_argument_group("the network").add_argument)
    _add_optimizer(parser.add_argument_group("the optimiser").add_argument)
    _add_training(parser.add_argument_group("the training").add_argument)


def _add_network(add) -> None:
    default = f"sizes of the hidden layers, or none (default {' '.join(map(str, defaults.HIDDEN))})"
    add("--hidden", type=layer, nargs="+", metavar="SIZE", help=default)
    add("--activation", choices=defaults.ACTIVATIONS, help="of the hidden layers (default relu)")
    add("--init", choices=defaults.INITIALIZERS, help="of the weights (default he_normal)")
    default = "what training lowers (default cross_entropy, of --target mean_squared_error)"
    add("--loss", choices=defaults.LOSSES, help=default)
    add("--dtype", choices=defaults.DTYPES, help="of all arithmetic (default float32)")
    default = "of the weights, the order of the rows and all else that is random (default 0)"
    add("--seed", type=whole, metavar="N", help=default)


def _add_optimizer(add) -> None:
    add("--optimizer", choices=defaults.OPTIMIZERS, help="default sgd")
    rates = {name: settings["learning_rate"] for name, settings in defaults.OPTIMIZER_SETTINGS.items()}
    default = "default " + ", ".join(f"{rate:g} for {name}" for name, rate in rates.items())
    add("--learning-rate", type=number, metavar="X", help=default)
    over = "how the learning rate changes over the whole training (default constant)"
    add("--schedule", choices=defaults.SCHEDULES, help=over)
    momentum = defaults.OPTIMIZER_SETTINGS["sgd"]["momentum"]
    add("--momentum", type=number, metavar="X", help=f"of sgd (default {momentum}) and rmsprop")
    add("--nesterov", action="store_true", default=None, help="use Nesterov's momentum with sgd")
    add(
        "--weight-decay",
        type=number,
        metavar="X",
        help="of the weights, not the biases (default 0; adamw 0.01)",
    )


def _add_training(add) -> None:
    add("--epochs", type=whole, metavar="N", help=f"default {defaults.EPOCHS}")
    add("--batch-size", type=whole, metavar="N", help=f"default {defaults.BATCH_SIZE}")
    add("--dropout", type=number, metavar="X", help="the part of the hidden units that each step leaves out")
    add("--class-weight", choices=("balanced",), help="give rare classes as much weight as frequent ones")
    stop = "stop after N epochs without a better validation loss, and keep the best; needs --validation"
    add("--early-stopping", type=whole, metavar="N", help=stop)
    add("--time-budget", type=number, metavar="SECONDS", help="stop after so much time")
    add("--checkpoint", metavar="FILE", help="write to this file, after each epoch, what --resume needs")
    add("--resume", action="store_true", help="go on from the --checkpoint file, if it is there")
    what = "about dead or saturated layers, vanishing or exploding gradients (default warn)"
    add("--anomalies", choices=defaults.ANOMALIES, help=what)
    add("--threads", type=whole, metavar="N", help="default: every processor this process may use")
    default = (
        "train the first layer over the non-zeros of the data alone (default auto: where that is faster)"
    )
    add("--sparse", choices=("auto", "always", "never"), help=default)
    add("--backend", choices=defaults.BACKENDS, help="default jit; reference is plain Python, and slow")


def _add_recipes(commands) -> None:
    parser = _command(
        commands,
        "recipes",
        "list the recipes that come with fastnn, or print one",
        [
            ("fastnn recipes", ""),
            ("fastnn recipes deriv8-ours > mine.toml", "to start one of your own from"),
            ("fastnn train --recipe mine.toml", "and train it"),
        ],
    )
    parser.add_argument("recipe", nargs="?", metavar="NAME", help="print this one, as TOML")


def _add_evaluate(commands) -> None:
    parser = _command(
        commands,
        "evaluate",
        "print how good a model is: counts, precision, recall of each class, accuracy, loss",
        [
            ("fastnn evaluate mnist-small.safetensors", "on the test part of mnist-small"),
            ("fastnn evaluate mnist.safetensors mnist --data ~/mnist", ""),
            ("fastnn evaluate flowers.safetensors new.csv --label species", "on all rows of a file"),
        ],
    )
    parser.add_argument("model", metavar="MODEL", help="a file written by fastnn train")
    _add_data(parser, " (their test parts)")
    recipe = "test on the data of this recipe, prepared as it says"
    parser.add_argument("--recipe", metavar="NAME", help=recipe)
    parser.add_argument(
        "--confusion", action="store_true", help="print which classes were taken for which, too"
    )


def _add_predict(commands) -> None:
    parser = _command(
        commands,
        "predict",
        "print the class of each row of a file, a line each",
        [
            ("fastnn predict mnist-small.safetensors t10k-images-idx3-ubyte.gz", ""),
            ("fastnn predict flowers.safetensors new.csv --proba --output new-proba.csv", ""),
        ],
    )
    parser.add_argument("model", metavar="MODEL", help="a file written by fastnn train")
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".npz (array X), .csv (a header, then numbers), or IDX images, gzipped or not",
    )
    parser.add_argument("--label", metavar="NAME", help="a column of the .csv file to leave out")
    parser.add_argument("--proba", action="store_true", help="print the probability of every class, as CSV")
    parser.add_argument("--output", metavar="PATH", help="write to this file instead")


def _add_gradcheck(commands) -> None:
    parser = _command(
        commands,
        "gradcheck",
        "compare the gradients of backpropagation with finite differences",
        [
            ("fastnn gradcheck", "a small network on random data"),
            ("fastnn gradcheck --sizes 30 20 20 5 --rows 7", ""),
            ("fastnn gradcheck --activation gelu --loss huber", ""),
            ("fastnn gradcheck --model mnist-small.safetensors", "a trained one"),
        ],
        note="Exit status 1 says that a gradient is further off than the tolerance.",
    )
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--sizes",
        type=whole,
        nargs="+",
        default=defaults.GRADCHECK_SIZES,
        metavar="SIZE",
        help=f"layer sizes (default {' '.join(map(str, defaults.GRADCHECK_SIZES))})",
    )
    network.add_argument("--model", metavar="MODEL", help="check this model instead")
    parser.add_argument(
        "--activation", choices=defaults.ACTIVATIONS, help="of the hidden layers (default relu)"
    )
    parser.add_argument("--loss", choices=defaults.LOSSES, help="default cross_entropy")
    parser.add_argument(
        "--rows",
        type=whole,
        default=defaults.GRADCHECK_ROWS,
        metavar="N",
        help=f"default {defaults.GRADCHECK_ROWS}",
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of weights and data (default 0)")


def _add_bench(commands) -> None:
    parser = _command(
        commands,
        "bench",
        "measure this machine's peak, matmul beside NumPy's, and training",
        [
            ("fastnn bench", "about half a minute"),
            ("fastnn bench --json machine.json", ""),
            ("taskset -c 0 fastnn bench", "on one processor"),
        ],
        note="What is compared is measured in turn, in one run: figures of two runs do not compare.",
    )
    parser.add_argument("--rounds", type=whole, metavar="N", help=f"default {defaults.BENCH_ROUNDS}")
    parser.add_argument(
        "--quick", action="store_true", help="one short round: shows that it works, not how fast"
    )
    parser.add_argument("--json", metavar="PATH", help="write the figures to this file, too")


def _add_info(commands) -> None:
    parser = _command(
        commands,
        "info",
        "print what fastnn found: processor, threads, cache, versions; or how it would take in data",
        [
            ("fastnn info", ""),
            ("fastnn info mnist", "how many of its values are 0, and what that means for training"),
            ("fastnn info --warm-up", "and compile every kernel into the cache"),
        ],
    )
    sets = (
        "mnist-small, mnist, digits, or an .npz, .csv or IDX file: print how it would be trained on instead"
    )
    parser.add_argument("dataset", nargs="?", metavar="DATA", help=sets)
    parser.add_argument("--label", metavar="NAME", help="a column of the .csv file to leave out")
    parser.add_argument("--data", metavar="DIR", help="the folder of the four files of mnist")
    parser.add_argument("--warm-up", action="store_true", help="compile every kernel now")
