"""Training on numbers too small for a normalised float32, which many processors handle a hundred times slower."""

from dataclasses import replace

from ..figures import ratio, spread
from ..peers import OURS
from ..tables import count, show, times
from ..workloads import Workload
from . import Run

OURS_NORMAL = Workload("C", (784, 512, 10), 128, rows=12_800, epochs=6)
# A thirtieth of that for the others, who take up to two minutes for the whole where nearly every number is a denormal.
THEIRS_NORMAL = replace(OURS_NORMAL, rows=2_560, epochs=1)
VARIANTS = {
    "normal": {},
    "denormal inputs": {"input_scale": 1e-39},
    "denormal weights": {"weight_scale": 1e-38},
    "both": {"input_scale": 1e-39, "weight_scale": 1e-38},
}
PEERS = (OURS, "NumPy", "PyTorch", "JAX")


def measure(run: Run) -> dict:
    """Return samples per second of each peer and variant, and how many times slower than normal each variant is."""
    figures = {}
    for name in run.crew.among(PEERS):
        normal = OURS_NORMAL if name == OURS else THEIRS_NORMAL
        works = {
            variant: replace(normal.shortened() if run.quick else normal, **scales)
            for variant, scales in VARIANTS.items()
        }
        rates = {variant: [] for variant in works}
        run.crew.ask(name, "check", work=works["normal"])
        for _ in range(run.rounds):
            for variant, work in works.items():
                rates[variant].append(work.samples / run.crew.ask(name, "train", work=work))
        figures[name] = {
            "samples_per_second": {variant: spread(each) for variant, each in rates.items()},
            "slower": {
                variant: ratio(rates["normal"], {variant: each})
                for variant, each in rates.items()
                if variant != "normal"
            },
        }
    return figures


def report(figures: dict) -> None:
    """Print a row for each peer."""
    rows = []
    for name, figure in figures.items():
        slower = (f"{times(each['best'])} slower" for each in figure["slower"].values())
        rows.append([name, count(figure["samples_per_second"]["normal"]["max"]), *slower])
    show("training C with denormals: best rounds", ["samples/s", *VARIANTS], rows)
