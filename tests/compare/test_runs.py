"""Runs are processes: none is repeated, an interrupted one goes on without losing a row, a failed one is reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from comparisons import FAKE, attempts, comparison, results, run
from fake_fit import EPOCHS, number
from pandas.testing import assert_frame_equal

HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.fixture(autouse=True)
def faked(monkeypatch):
    monkeypatch.setattr("maxl_lightning.compare.plan.PROGRAM", FAKE)
    monkeypatch.setattr(
        "maxl_lightning.compare.attempt.finished_epoch", lambda path: json.loads(path.read_text())["epoch"]
    )


@pytest.fixture
def happens(monkeypatch):
    """Let something happen to runs, given as ``"method/seed_S": (event, epoch)``."""
    return lambda **events: monkeypatch.setenv(
        "FAKE_FIT", json.dumps({k.replace("__", "/"): v for k, v in events.items()})
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of a comparison that nothing has interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxl_lightning.compare.plan.PROGRAM", FAKE)
        status, printed = run(comparison(folder))
    assert status == 0
    return folder / "out", printed


def test_the_numbers_are_those_of_the_runs(whole):
    out, _ = whole
    runs, curves = results(out)
    assert runs[["method", "seed"]].values.tolist() == [["single", 0], ["single", 1], ["maxl", 0], ["maxl", 1]]
    for row in runs.to_dict("records"):
        key = row["method"], f"seed_{row['seed']}"
        tests = [number(*key, epoch, "test") for epoch in range(EPOCHS)]
        vals = [number(*key, epoch, "val") for epoch in range(EPOCHS)]
        assert row["test_accuracy"] == pytest.approx(sum(tests[-5:]) / 5)
        assert row["averaged_epochs"] == 5
        assert row["test_accuracy_final"] == pytest.approx(tests[-1])
        assert row["best_validation_epoch"] == 1 + vals.index(max(vals))
        assert row["test_accuracy_best_validation"] == pytest.approx(tests[vals.index(max(vals))])
        assert row["train_accuracy"] == pytest.approx(number(*key, EPOCHS - 1, "train"))
        batches = [number(*key, EPOCHS - 1, f"{batch} batch") for batch in ("first", "second")]
        assert row["label_entropy"] == pytest.approx(sum(batches) / 2)
        assert row["epochs"] == EPOCHS
    assert len(curves) == 4 * EPOCHS


def test_every_command_is_printed_and_is_the_one_that_was_run(whole):
    out, printed = whole
    for name in ("single", "maxl"):
        for seed in (0, 1):
            folder = out / "runs" / name / f"seed_{seed}"
            command = json.loads((folder / "run.json").read_text())["command"]
            assert command in printed
            assert command.startswith(
                f"OMP_NUM_THREADS=1 maxl fit --config {out.parent / name}.yaml --seed_everything {seed} "
            )
            executed = (folder / "log.txt").read_text().splitlines()[0]
            assert executed.split(fake_path(), 1)[1] == command.split(" maxl", 1)[1]


def fake_path():
    return FAKE[-1]


def test_a_finished_run_is_not_run_again(whole, monkeypatch):
    out, _ = whole
    before = {path: path.stat().st_mtime_ns for path in out.rglob("runs/**/*") if path.is_file()}
    (out / "accuracy.png").unlink()
    monkeypatch.setattr("maxl_lightning.compare.worker.execute", None)
    status, printed = run(comparison(out.parent))
    assert status == 0
    assert "4 runs, 4 of them finished already" in printed
    assert {path: path.stat().st_mtime_ns for path in out.rglob("runs/**/*") if path.is_file()} == before
    assert (out / "accuracy.png").is_file()


@pytest.mark.parametrize(
    ("event", "epoch", "resumes"),
    [
        ("dies in epoch", 0, False),  # there is no checkpoint yet
        ("dies in epoch", 4, True),
        ("dies at checkpoint", 4, False),  # its epoch's test accuracy was not written
        ("dies in row", 4, False),
        ("dies in epoch", EPOCHS - 1, True),
        ("dies at checkpoint", EPOCHS - 1, False),
    ],
)
def test_a_killed_run_goes_on_without_losing_or_repeating_a_row(whole, tmp_path, happens, event, epoch, resumes):
    happens(maxl__seed_1=(event, epoch))
    status, printed = run(comparison(tmp_path))
    assert status == 1
    assert "maxl, seed 1: FAILED, exit status -9" in printed
    assert "Not finished, and left out: maxl, seed 1." in printed
    assert [attempts(tmp_path / "out", name, seed) for name in ("single", "maxl") for seed in (0, 1)] == [1] * 4
    status, printed = run(comparison(tmp_path))
    assert status == 0
    assert "4 runs, 3 of them finished already" in printed
    assert (f"goes on after epoch {epoch - 1}" in printed) is resumes
    assert ("--ckpt_path" in printed) is resumes
    assert ("starts anew" in printed) is (not resumes and epoch > 0)
    assert [attempts(tmp_path / "out", name, seed) for name in ("single", "maxl") for seed in (0, 1)] == [1, 1, 1, 2]
    for kept, expected in zip(results(tmp_path / "out"), results(whole[0]), strict=True):
        assert_frame_equal(kept, expected)


def test_an_unreadable_checkpoint_is_said_and_not_used(whole, tmp_path, happens):
    happens(single__seed_0=("dies in epoch", 5))
    run(comparison(tmp_path))
    checkpoint = tmp_path / "out" / "runs" / "single" / "seed_0" / "checkpoints" / "last.ckpt"
    checkpoint.write_text('{"epo')
    status, printed = run(comparison(tmp_path))
    assert status == 0
    assert f"{checkpoint} cannot be read (" in printed
    assert "the run starts anew" in printed
    for kept, expected in zip(results(tmp_path / "out"), results(whole[0]), strict=True):
        assert_frame_equal(kept, expected)


def test_a_failed_run_is_reported_while_the_others_go_on(tmp_path, happens):
    happens(single__seed_0=("fails", 2))
    status, printed = run(comparison(tmp_path), jobs=1)
    log = tmp_path / "out" / "runs" / "single" / "seed_0" / "log.txt"
    assert status == 1
    assert f"single, seed 0: FAILED, exit status 1. The end of {log}:" in printed
    assert "ValueError: out of luck" in printed
    assert printed.count(": finished, test accuracy") == 3
    assert f"failed: single, seed 0, see {log}" in printed
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert summary["n"].tolist() == [1, 2, 1]  # the difference is of the seed that both have


def test_a_run_without_results_has_failed(tmp_path, monkeypatch):
    monkeypatch.setattr("maxl_lightning.compare.plan.PROGRAM", (sys.executable, "-S", "-c", ""))
    status, printed = run(comparison(tmp_path, seeds=1))
    assert status == 1
    assert "single, seed 0 ended without an accuracy on the test images" in printed
    assert "no run is finished: there is nothing to report" in printed


def test_a_configuration_that_is_edited_meanwhile_is_refused(tmp_path):
    plan = comparison(tmp_path, seeds=1)
    (tmp_path / "maxl.yaml").write_text("# another")
    status, printed = run(plan, references=["maxl"])  # of which there are no results to compare with
    assert status == 1
    assert f"{tmp_path / 'maxl.yaml'} has changed since the comparison was started" in printed
    assert "single, seed 0: finished" in printed


def test_threads_reach_the_process(tmp_path, monkeypatch):
    show = "import os; print(os.environ['OMP_NUM_THREADS'])"
    monkeypatch.setattr("maxl_lightning.compare.plan.PROGRAM", (sys.executable, "-S", "-c", show))
    run(comparison(tmp_path, names=["single"], seeds=1, threads=3))
    assert (tmp_path / "out" / "runs" / "single" / "seed_0" / "log.txt").read_text().endswith("\n3\n")


def test_a_run_does_not_import_what_lies_in_the_folder(tmp_path, monkeypatch):
    """As the printed command does not."""
    (tmp_path / "shadow.py").write_text("")
    monkeypatch.chdir(tmp_path)
    show = "import importlib.util; print(importlib.util.find_spec('shadow'))"
    monkeypatch.setattr("maxl_lightning.compare.plan.PROGRAM", (sys.executable, "-S", "-c", show))
    run(comparison(tmp_path, names=["single"], seeds=1))
    assert (tmp_path / "out" / "runs" / "single" / "seed_0" / "log.txt").read_text().endswith("None\n")


SCRIPT = f"""
import json, sys
sys.path.insert(0, {str(HELPERS)!r})
from comparisons import FAKE, comparison
from rich.console import Console
from maxl_lightning.compare import attempt, compare, plan

plan.PROGRAM = FAKE
attempt.finished_epoch = lambda path: json.loads(path.read_text())["epoch"]
sys.exit(compare(comparison(sys.argv[1]), 2, None, Console(width=200)))
"""


def start(folder, **events):
    """Start a comparison as a process of its own, and wait until its first two runs hang."""
    environment = {**os.environ, "FAKE_FIT": json.dumps(events)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    metrics = [folder / "out" / "runs" / name / "seed_0" / "metrics.csv" for name in ("single", "maxl")]
    wait_until(lambda: all(path.is_file() and "\n3," in path.read_text() for path in metrics))
    return process


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes(out):
    """The numbers of the processes that have signed the locks."""
    return [int(path.read_text().split()[1]) for path in out.rglob("lock") if path.read_text()]


def alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


HANGING = {"single/seed_0": ("hangs", 3), "maxl/seed_0": ("hangs", 3)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_comparison_ends_its_processes_and_goes_on(whole, tmp_path, number):
    process = start(tmp_path, **HANGING)
    children = processes(tmp_path / "out")
    assert len(children) == 2
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping: the processes are asked to end" in printed
    assert "stopped with 4 runs to do: the same command goes on" in printed
    assert not any(map(alive, children))
    status, printed = run(comparison(tmp_path))
    assert status == 0
    assert printed.count("goes on after epoch 2") == 2
    for kept, expected in zip(results(tmp_path / "out"), results(whole[0]), strict=True):
        assert_frame_equal(kept, expected)


def test_a_killed_comparison_goes_on_once_its_processes_have_ended(whole, tmp_path):
    """They outlive it: until they end, the next one must not start others for the same runs."""
    process = start(tmp_path, **HANGING)
    process.kill()
    process.communicate()
    children = processes(tmp_path / "out")
    assert len(children) == 2
    assert all(map(alive, children))
    second = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = iter(second.stdout.readline, "")
    assert any(f"is still trained by process {children[0]} on " in line for line in lines)
    assert second.poll() is None
    for child in children:
        os.kill(child, signal.SIGKILL)
    rest = second.communicate(timeout=60)[0]
    assert second.returncode == 0
    assert rest.count("goes on after epoch 2") == 2
    assert [attempts(tmp_path / "out", name, seed) for name in ("single", "maxl") for seed in (0, 1)] == [2, 1, 2, 1]
    for kept, expected in zip(results(tmp_path / "out"), results(whole[0]), strict=True):
        assert_frame_equal(kept, expected)


def test_methods_and_seeds_may_join(tmp_path):
    run(comparison(tmp_path, names=["single"], seeds=1))
    status, _ = run(comparison(tmp_path, names=["maxl"], seeds=2))
    assert status == 0
    runs, _ = results(tmp_path / "out")
    assert runs[["method", "seed"]].values.tolist() == [["single", 0], ["maxl", 0], ["maxl", 1]]
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["n"].tolist() == [1, 2, 1]
    assert attempts(tmp_path / "out", "single", 0) == 1
