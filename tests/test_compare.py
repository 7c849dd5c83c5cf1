"""bench/compare: the arithmetic of its tables, the peers' processes, and a whole run with NumPy as the only peer."""

import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
sys.path.insert(0, str(BENCH))

from compare import command, crew, figures, peers, workloads  # noqa: E402
from compare.sections import Run, training  # noqa: E402

SMALL = workloads.Workload("small", (12, 7, 5, 3), batch=8, rows=44, epochs=2, learning_rate=0.1)


# Figures.


def test_flops_are_those_of_the_products():
    """Count the multiply-adds of each matrix product that a step on one sample takes."""
    for sizes in ((4, 3), (784, 512, 10), (9, 8, 7, 6, 5)):
        products = 0
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            products += fan_in * fan_out  # forward
            products += fan_in * fan_out  # gradient of the weights
            products += fan_in * fan_out if layer else 0  # gradient of the inputs, unless they are data
        assert replace(SMALL, sizes=sizes).flops == 2 * products


def test_samples_and_steps_count_the_last_short_batch():
    assert (SMALL.samples, SMALL.steps) == (88, 12)
    shortened = SMALL.shortened()
    assert shortened.rows % shortened.batch and shortened.rows // shortened.batch == 2


def test_ratio_compares_with_the_fastest():
    ratio = figures.ratio([10.0, 30.0, 20.0], {"slow": [5.0, 6.0, 8.0], "fast": [4.0, 12.0, 2.0]})
    assert ratio["fastest"] == "fast"
    assert ratio["best"] == 30 / 12
    assert ratio["rounds"] == [10 / 5, 30 / 12, 20 / 8]
    assert (ratio["min"], ratio["median"], ratio["max"]) == (2, 2.5, 2.5)


def test_fraction_of_a_limit():
    fraction = figures.fraction([50.0, 80.0], [100.0, 200.0])
    assert fraction["best"] == 0.4
    assert (fraction["min"], fraction["max"]) == (0.4, 0.5)


def test_geometric_mean():
    values = [0.5, 2.0, 3.0, 7.0]
    assert figures.geometric_mean(values) == pytest.approx(math.prod(values) ** 0.25)
    doubled = figures.geometric_mean(2 * value for value in values)
    assert doubled == pytest.approx(2 * figures.geometric_mean(values))


# Data.


def test_dense_data_has_no_zeros_and_scales():
    X, y = SMALL.data()
    assert X.dtype == np.float32 and X.shape == (44, 12) and X.min() > 0 and X.max() <= 1
    assert y.dtype == np.int64 and set(y) == {0, 1, 2}
    tiny, _ = replace(SMALL, input_scale=1e-39).data()
    assert 0 < tiny.max() < np.finfo(np.float32).tiny


def test_data_of_a_folder(tmp_path):
    X, y = SMALL.data()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    read, labels = replace(SMALL, folder=str(tmp_path), rows=20).data()
    assert (read == X[:20]).all() and (labels == y[:20]).all()


# Processes.


@pytest.fixture(scope="module")
def both():
    with crew.Crew(["fastnn", "NumPy"], 1) as running:
        yield running


def test_both_learn_the_same(both):
    training.check(Run(both, 1, True, "", 0, ("small",)), SMALL, ["fastnn", "NumPy"])


@pytest.mark.parametrize("field, value", [("learning_rate", 0.09), ("batch", 9)])
def test_a_peer_that_learns_something_else_is_caught(both, monkeypatch, field, value):
    ask = both.ask

    def misled(name, task, work):
        return ask(name, task, work=replace(work, **{field: value}) if name == "NumPy" else work)

    monkeypatch.setattr(both, "ask", misled)
    with pytest.raises(crew.PeerError, match="NumPy does not learn what fastnn does on small"):
        training.check(Run(both, 1, True, "", 0, ("small",)), SMALL, ["fastnn", "NumPy"])


def test_both_predict_the_same(both):
    ours, theirs = (both.ask(name, "probabilities", work=SMALL) for name in ("fastnn", "NumPy"))
    assert ours.shape == (44, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_failing_task_is_told_and_the_peer_goes_on(both):
    with pytest.raises(crew.PeerError, match="AttributeError"):
        both.ask("NumPy", "no_such_task")
    assert both.ask("NumPy", "product", layout="tn", m=3, k=4, n=5, seconds=0.001) > 0


def test_a_dead_peer_is_an_error_and_no_hang():
    child = crew.Child("NumPy", 1)
    child._process.kill()
    child._process.wait()
    with pytest.raises(crew.PeerError, match="NumPy ended with exit code -9"):
        child.ask("peak")
    child.close()


def test_rounds_alternate_and_start_with_another_peer_each(monkeypatch):
    idle = crew.Crew([], 1)
    asked = []
    monkeypatch.setattr(idle, "ask", lambda name, task: asked.append(name) or len(asked))
    figures_ = idle.ask_in_turn(["a", "b", "c"], 3, "task", before=lambda: asked.append("|"))
    assert "".join(asked) == "|abc|bca|cab"
    assert figures_ == {"a": [2, 8, 11], "b": [3, 6, 12], "c": [4, 7, 10]}


def test_one_number_of_threads_for_every_library():
    variables = crew.environment(3)
    assert {name: variables[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")} == (
        dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"], "3")
    )
    assert "intra_op_parallelism_threads=3" in variables["XLA_FLAGS"]


# The command.


@pytest.fixture
def without_other_peers(tmp_path):
    """An environment in which torch, jax, sklearn and onnxruntime cannot be imported."""
    for module in ("torch", "jax", "sklearn", "onnxruntime"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('hidden by the test')")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_a_whole_run_without_the_other_peers(without_other_peers, tmp_path):
    report_file = tmp_path / "report.json"
    line = [sys.executable, "-P", BENCH / "compare", "--quick", "--json", report_file]
    line += ["--only", "dense", "matmul", "latency"]
    process = subprocess.run(line, env=without_other_peers, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    for name in ("PyTorch", "torch.compile", "JAX", "scikit-learn", "onnxruntime"):
        assert f"without {name}: hidden by the test" in process.stdout
    report = json.loads(report_file.read_text())
    assert list(report["sections"]) == ["dense", "matmul", "latency"]
    dense = report["sections"]["dense"]
    assert list(dense) == ["A", "B20", "B256", "C", "D", "E"]
    for figure in dense.values():
        rates = figure["samples_per_second"]
        assert set(rates) == {"fastnn", "NumPy"}
        assert figure["ratio"]["best"] == pytest.approx(rates["fastnn"]["max"] / rates["NumPy"]["max"])
        assert (
            figure["fraction_of_peak"]["best"] > 0
        )  # above 1 where the peak was measured beside a busy neighbour
    assert set(report["sections"]["latency"]["seconds"]) == {"fastnn", "NumPy"}


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--rounds", "0"], "--rounds is 0"),
        (["--threads", "-1"], "--threads is -1"),
        (["--only", "mnist", "--workloads", "D", "E"], "--workloads names none of A, B20, B256, C"),
        (["--json", "/no such folder/x.json"], "there is no folder for /no such folder/x.json"),
    ],
)
def test_arguments_are_checked_before_anything_is_measured(arguments, told, capsys):
    assert command.main(arguments) == 2
    output = capsys.readouterr()
    assert told in output.err and output.err.count("\n") == 1 and output.out == ""


def test_a_picture_needs_something_to_draw(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert command.main(["--only", "matmul", "--png", str(tmp_path / "x.png")]) == 2
    assert "--only names neither" in capsys.readouterr().err


# The set-up.


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """scripts/run.py of a copy, which records what it would run."""
    (tmp_path / "scripts").mkdir()
    for name in (
        "pyproject.toml",
        *(f"scripts/{file.name}" for file in (ROOT / "scripts").iterdir() if file.is_file()),
    ):
        shutil.copy(ROOT / name, tmp_path / name)
    spec = importlib.util.spec_from_file_location("run_of_a_copy", tmp_path / "scripts" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def call(line, **_):
        module.calls.append(line)
        if "venv" in line:
            Path(module.PYTHON).parent.mkdir()
            Path(module.PYTHON).touch()
        return 0

    monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(module, "run", lambda *_: 0)
    return module


def test_compare_has_an_environment_of_its_own(run_script, tmp_path):
    assert run_script.main(["compare"]) == 0
    last = run_script.calls[-1]
    assert Path(last[0]).is_relative_to(tmp_path / ".venv-compare")
    assert last[-2:] == ["-r", str(tmp_path / "scripts" / "compare_constraints.txt")]
    assert not (tmp_path / ".venv").exists()
    made = len(run_script.calls)
    assert run_script.main(["compare"]) == 0 and len(run_script.calls) == made
    with open(tmp_path / "scripts" / "compare_constraints.txt", "a") as file:
        file.write("\n# changed\n")
    assert run_script.main(["compare"]) == 0 and len(run_script.calls) > made


def test_other_commands_do_not_install_the_peers(run_script, tmp_path):
    assert run_script.main(["train"]) == 0
    assert not any("compare_constraints" in str(part) for line in run_script.calls for part in line)
    assert not (tmp_path / ".venv-compare").exists()


def pins(name):
    lines = (ROOT / "scripts" / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_peers_are_pinned_and_torch_never_brings_cuda():
    own = pins("constraints.txt")
    pinned_there = {pin.name for pin in own}
    listed = pins("compare_constraints.txt")
    for requirement in listed:
        exact = [specifier.operator for specifier in requirement.specifier] == ["=="]
        assert exact or requirement.name in pinned_there, requirement
        assert not re.match(r"nvidia|cuda|triton", requirement.name)
    needed = {peers.DISTRIBUTIONS[name] for name in peers.PEERS} - {"fastnn-cpu"}
    assert needed <= {requirement.name for requirement in (*own, *listed)}
    on_linux = [
        requirement
        for requirement in listed
        if requirement.name == "torch" and requirement.marker.evaluate({"sys_platform": "linux"})
    ]
    assert [str(requirement.specifier) for requirement in on_linux] == ["==2.13.0+cpu"]
