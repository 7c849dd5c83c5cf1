"""`fastnn.kernels.matmul` against NumPy's BLAS: every layout, one thread and all, shapes of training and squares."""

from ..figures import geometric_mean, ratio, spread
from ..peers import OURS
from ..tables import show, times
from . import Run

# (m, k, n) of a product (m, k) times (k, n): the last batches and layers of small networks, odd numbers, squares.
SHAPES = (
    (20, 784, 100),
    (20, 100, 10),
    (256, 784, 100),
    (500, 784, 32),
    (500, 32, 32),
    (128, 784, 512),
    (128, 512, 10),
    (784, 128, 512),
    (100, 1000, 1000),
    (100, 2500, 2000),
    (97, 513, 31),
    (511, 257, 129),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
)
QUICK_SHAPES = ((20, 784, 100), (97, 513, 31))
LAYOUTS = ("nn", "tn", "nt")


def measure(run: Run) -> dict:
    """Return a figure for each shape, layout and number of threads."""
    products = []
    for m, k, n in QUICK_SHAPES if run.quick else SHAPES:
        for layout in LAYOUTS:
            for threads in sorted({1, run.threads}):
                seconds = run.crew.ask_in_turn(
                    [OURS, "NumPy"],
                    run.rounds,
                    "product",
                    threads=threads,
                    layout=layout,
                    m=m,
                    k=k,
                    n=n,
                    seconds=run.seconds(0.08),
                )
                flops = {name: [2 * m * k * n / each for each in taken] for name, taken in seconds.items()}
                products.append(
                    {
                        "layout": layout,
                        "shape": [m, k, n],
                        "threads": threads,
                        "flops": {name: spread(each) for name, each in flops.items()},
                        "ratio": ratio(flops[OURS], {"NumPy": flops["NumPy"]}),
                    }
                )
    best = [product["ratio"]["best"] for product in products]
    return {"products": products, "least": min(best), "geometric_mean": geometric_mean(best)}


def report(figures: dict) -> None:
    """Print a row for each shape and number of threads, the layouts side by side."""
    rows = {}
    for product in figures["products"]:
        m, k, n = product["shape"]
        row = rows.setdefault((m, k, n, product["threads"]), [f"{m} x {k} x {n}", str(product["threads"])])
        gflops = [product["flops"][name]["max"] / 1e9 for name in (OURS, "NumPy")]
        best = product["ratio"]
        row += [
            "{:.0f} / {:.0f}".format(*gflops),
            times(best["best"]),
            f"{best['min']:.2f}-{best['max']:.2f}",
        ]
    columns = ["(m, k) times (k, n)", "threads"]
    for layout in LAYOUTS:
        columns += [f"{layout} GFLOP/s", "ratio", "rounds"]
    show("matrix products, fastnn / NumPy: best rounds", columns, list(rows.values()))
    print(f"least ratio {figures['least']:.2f}, geometric mean {figures['geometric_mean']:.2f}\n", flush=True)
