"""bench/reproduce: that it runs, and how its tables are put together."""

import json
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

from reproduce import command, report, systems  # noqa: E402

from fastnn import recipes  # noqa: E402


def test_every_recipe_is_reproduced():
    assert set(systems.ENTRIES) == set(recipes.names())


@pytest.mark.parametrize("variant", systems.TIPS.values(), ids=systems.TIPS)
def test_the_variants_are_recipes(variant):
    recipes.load(variant.recipe).change(variant.changes)


def test_a_quick_run_of_everything(tmp_path, capsys):
    path = tmp_path / "figures.json"
    names = ("deriv8", "haskell", "neuroflow-ours", "tips")
    assert command.main([*names, "--quick", "--seeds", "2", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    found = json.loads(path.read_text())
    assert list(found["systems"]) == ["deriv8", "neuroflow-ours", "haskell"]
    for figures in found["systems"].values():
        assert [run["seed"] for run in figures["runs"]] == [0, 1]
    assert "haskell, seed 0: TrainingStopped: layer 0 is saturated" in out
    assert "initial weights too large" in out
    assert list(found["tips"]) == list(systems.TIPS)
    for tip in systems.TIPS:
        assert f"| {tip} " in out


def test_a_line_of_the_table():
    entry = systems.Entry(systems.System({systems.ALL: 90.0, systems.LAST: 95.0}, 100.0))
    runs = [{"right": {systems.ALL: 91.0, systems.LAST: 94.0}, "seconds": 1.0}]
    runs += [{"right": {systems.ALL: 93.0, systems.LAST: 94.0}, "seconds": 3.0}]
    line = report.cells(entry, systems.ALL, {"runs": runs})
    assert line == ["90.00", "92.00 ± 1.41", "+2.00", "100 s", "2.00 ± 1.41 s", "50 x"]
    assert report.cells(entry, systems.LAST, {"runs": runs}) == ["95.00", "94.00 ± 0.00", "-1.00", "", "", ""]
    unknown = systems.Entry(systems.System({}))
    assert report.cells(unknown, systems.ALL, {"runs": runs[:1]}) == ["-", "91.00", "-", "-", "1.00 s", "-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deriv9"], "there is no 'deriv9'"),
        (["--seeds", "0"], "--seeds is 0"),
        (["--json", "nowhere/x"], "no folder"),
    ],
)
def test_bad_calls(arguments, message, capsys):
    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err
