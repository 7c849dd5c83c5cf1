"""`fastnn.kernels.matmul` against NumPy's BLAS: every layout, one thread and all, shapes of training and squares."""

from ..figures import geometric_mean, ratio, spread
from ..peers import OURS
from ..tables import in_one_cell, show, times
from . import Run

# (m, k, n) of a product (m, k) times (k, n): the last batches and layers of small networks, odd numbers, squares.
SHAPES = (
    (20, 784, 100),
    (300, 300, 300),
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
    return {"products": products, "summary": summary(products)}


def summary(products: list[dict]) -> dict[str, dict[str, float]]:
    """Return the least ratio and the geometric mean, by the number of threads and over all."""
    ratios = {"all": []}
    for product in products:
        ratios["all"].append(product["ratio"]["best"])
        ratios.setdefault(str(product["threads"]), []).append(product["ratio"]["best"])
    return {key: {"least": min(each), "geometric_mean": geometric_mean(each)} for key, each in ratios.items()}


def report(figures: dict) -> None:
    """Print a row for each shape and layout."""
    rows = {}
    for product in figures["products"]:
        m, k, n = product["shape"]
        row = rows.setdefault((m, k, n, product["layout"]), [f"{product['layout']} {m} x {k} x {n}"])
        row += [f"{product['flops'][name]['max'] / 1e9:.0f}" for name in (OURS, "NumPy")]
        row += [times(product["ratio"]["best"]), in_one_cell(product["ratio"], times)]
    columns = ["m x k x n"]
    for threads in sorted({product["threads"] for product in figures["products"]}):
        columns += [f"fastnn, {threads}", "NumPy", "ratio", "by round"]
    show("matrix products (m, k) times (k, n), GFLOP/s by threads: best rounds", columns, list(rows.values()))
    for threads, each in figures["summary"].items():
        least, mean = each["least"], each["geometric_mean"]
        print(f"threads {threads}: least ratio {least:.2f}, geometric mean {mean:.2f}", flush=True)
    print()
