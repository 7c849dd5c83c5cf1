"""What is reproduced: each system's own figures, and the recipes that go with it."""

from dataclasses import dataclass

ALL, FIRST, LAST, FIRST_2000 = "all 10,000", "first 5,000", "last 5,000", "first 2,000"
PARTS = {
    ALL: slice(None),
    FIRST: slice(5000),
    LAST: slice(5000, None),
    FIRST_2000: slice(2000),
}
"""Parts of the official test images that figures were given for. The last 5,000 are the easier ones."""


@dataclass(frozen=True)
class System:
    """Figures to compare with: `theirs` in per cent by the part of the test images, `seconds` of training."""

    theirs: dict[str, float]
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """A recipe, and the system whose figures it stands beside."""

    system: System
    curve: bool = False
    """Whether the test accuracy after every epoch is told, too."""


DERIV8 = System({ALL: 93.98}, 19800, "Python lists, a laptop of 2019: 16.5 minutes an epoch")
OMI = System({ALL: 94.99}, 186.17, "NumPy, the notebook's own machine")
PML = System({ALL: 97.8, LAST: 98.6}, None, "NumPy; no time was told")
PML_1200 = System(
    {LAST: 99.0}, None, "NumPy; first above 99 % at epoch 20, for good after 60; no time was told"
)
NEUROFLOW = System(
    {FIRST_2000: 84.45, ALL: 88.01}, None, "of the weights that it came with; no time was told"
)
HASKELL = System({}, None, "it never trained")
BEST_PLAIN = System(
    {ALL: 98.88}, 51060, "3 x 1,024, dropout, max-norm: a rerun of Srivastava et al. 2014 (98.94 %) on a GPU"
)
BEST_AUGMENTED = System({ALL: 98.83}, 79, "784-512-256-10 in NumPy, another machine")

ENTRIES = {
    "deriv8": Entry(DERIV8),
    "deriv8-ours": Entry(DERIV8),
    "on-machine-intelligence": Entry(OMI),
    "on-machine-intelligence-ours": Entry(OMI),
    "programming-machine-learning": Entry(PML),
    "programming-machine-learning-ours": Entry(PML),
    "programming-machine-learning-1200": Entry(PML_1200),
    "programming-machine-learning-1200-ours": Entry(PML_1200),
    "neuroflow": Entry(NEUROFLOW),
    "neuroflow-ours": Entry(NEUROFLOW),
    "haskell": Entry(HASKELL),
    "haskell-ours": Entry(HASKELL),
    "best-plain": Entry(BEST_PLAIN, curve=True),
    "best-augmented": Entry(BEST_AUGMENTED, curve=True),
}
"""By the names of recipes that come with fastnn, in the order of the tables."""

_TIPS_BASE = "programming-machine-learning-ours"


@dataclass(frozen=True)
class Variant:
    """A recipe with changes, to see what they do."""

    recipe: str
    changes: dict
    claim: str = ""


def _crop(k: int) -> dict:
    return {"data": {"prepare": [{"name": "crop_border", "k": k}]}}


def _dropout(activation: str, rate: float = 0.2) -> dict:
    network = {"hidden": [512, 512], "activation": activation, "init": "he_normal"}
    rate_of_learning = {"learning_rate": {"name": "one_cycle", "peak": 0.003}}  # of so wide layers
    return {"network": network, "training": {"dropout": rate}, "optimizer": rate_of_learning}


TIPS = {
    "whole images": Variant(_TIPS_BASE, {}),
    "border of 1 px cut off": Variant(_TIPS_BASE, _crop(1), "saves 13.8 % of the inputs"),
    "border of 2 px cut off": Variant(_TIPS_BASE, _crop(2)),
    "border of 3 px cut off": Variant(_TIPS_BASE, _crop(3), "no impact"),
    "border of 10 px cut off (8 x 8 left)": Variant(_TIPS_BASE, _crop(10), "easily above 80 %"),
    "book, batches of 256": Variant("programming-machine-learning", {}),
    "book, batches of 20": Variant("programming-machine-learning", {"training": {"batch_size": 20}}),
    "book, batches of 20, doubled each epoch up to 256": Variant(
        "programming-machine-learning",
        {"training": {"batch_size": {"name": "batch_ramp", "start": 20, "limit": 256}}},
        "better than fixed",
    ),
    "ours, batches of 256": Variant(_TIPS_BASE, {"training": {"batch_size": 256}}),
    "ours, batches of 20, doubled each epoch up to 256": Variant(
        _TIPS_BASE,
        {"training": {"batch_size": {"name": "batch_ramp", "start": 20, "limit": 256}}},
        "better than fixed",
    ),
    "784-512-512-10, ReLU": Variant(_TIPS_BASE, _dropout("relu", 0.0)),
    "784-512-512-10, shifted ReLU": Variant(_TIPS_BASE, _dropout("shifted_relu", 0.0)),
    "784-512-512-10, ReLU, dropout 0.2": Variant(_TIPS_BASE, _dropout("relu")),
    "784-512-512-10, shifted ReLU, dropout 0.2": Variant(
        _TIPS_BASE, _dropout("shifted_relu"), "learns better, weights of one size in all layers"
    ),
}
"""The advice of the forum, each piece beside what it is measured against."""
