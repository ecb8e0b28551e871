"""Drift beside Evidently and whylogs: the same files, the same question, one after the other in one run.

    drift_peers.py INFERLOG [ROWS] [FEATURES]

Each reads a CSV file of training (a tenth of the rows) and one of live data, and gives a measure of drift for every feature. Printed
are CPU-seconds of the whole process, values of the live file a CPU-second, and the greatest resident memory. The peers are found in the
environments whose interpreters EVIDENTLY_PYTHON and WHYLOGS_PYTHON name; one that is not set is left out, which is said. NumPy is
needed here.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EVIDENTLY = """
import sys, pandas
from evidently import Report
from evidently.presets import DataDriftPreset
reference, current = pandas.read_csv(sys.argv[1]), pandas.read_csv(sys.argv[2])
result = Report([DataDriftPreset(method="psi")]).run(current, reference).dict()
assert len(result["metrics"]) > current.shape[1], result
"""

WHYLOGS = """
import sys, pandas, whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores
views = [whylogs.log(pandas.read_csv(path)).view() for path in sys.argv[1:3]]
scores = calculate_drift_scores(views[1], views[0], with_thresholds=True)
assert len(scores) > 1, scores
"""


def write(path, rows, features, shift, random):
    """Ten times the same tenth: what counts is how much there is to read."""
    block = random.normal(shift, 1, (max(rows // 10, 1), features)).round(5).astype(str)
    text = "\n".join(map(",".join, block)) + "\n"
    with open(path, "w") as file:
        file.write(",".join(f"f{number}" for number in range(features)) + "\n")
        for _ in range(10):
            file.write(text)


def measured(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1) or "Traceback" in error:
        raise SystemExit(f"{command[0]}: {error[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    inferlog = sys.argv[1]
    rows, features = (int(number) for number in (sys.argv[2:] + ["1000000", "50"][len(sys.argv) - 2:]))
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        train, live, baseline = (str(Path(folder) / name) for name in ("train.csv", "live.csv", "b.json"))
        # In processes of their own: what is started here is charged with the memory that this one has had.
        for arguments in [(train, rows // 10, features, 0.0, random), (live, rows, features, 0.1, random)]:
            writer = multiprocessing.Process(target=write, args=arguments)
            writer.start()
            writer.join()
        values = rows * features
        print(f"{rows} rows x {features} features, {os.path.getsize(live) >> 20} MiB; training a tenth of that")

        def show(name, runs):
            seconds, memory = sum(run[0] for run in runs), max(run[1] for run in runs)
            print(f"{name:<28}{seconds:>9.1f} CPU-s {values / seconds / 1e6:>8.2f} million values/CPU-s {memory:>8.0f} MiB", flush=True)

        made = measured([inferlog, "baseline", train, "-o", baseline])
        looked = measured([inferlog, "drift", "--baseline", baseline, live])
        show("inferlog baseline + drift", [made, looked])
        show("inferlog drift alone", [looked])
        for name, variable, program in [("evidently", "EVIDENTLY_PYTHON", EVIDENTLY), ("whylogs", "WHYLOGS_PYTHON", WHYLOGS)]:
            python = os.environ.get(variable)
            if python:
                show(name, [measured([python, "-c", program, train, live])])
            else:
                print(f"{name}: left out, {variable} is not set")


main()
