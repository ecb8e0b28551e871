"""Drift beside Evidently and whylogs: the same files, the same question, one after the other in one run.

    drift_peers.py INFERLOG [ROWS...]

Each reads a CSV file of training (a tenth of the rows) and one of live data, of 50 features, and gives a measure of drift for every
feature: PSI here and in Evidently, Kolmogorov-Smirnov in whylogs. Printed are CPU-seconds of the whole process, values of the live file
a CPU-second, and the greatest resident memory (`getrusage` of the child, which cannot tell less than what this process has; that is
printed, too). Sizes are tried from the greatest down, 1,000,000, 500,000, 200,000 and 50,000 rows unless named; a peer that does not end
within 15 minutes of CPU is stopped, which is said, and tried with the next size, beside inferlog again.

The peers are found in the environments whose interpreters EVIDENTLY_PYTHON and WHYLOGS_PYTHON name; one that is not set is left out,
which is said. This script itself needs NumPy (whylogs needs scipy, ipython and pandas<3 beside it).
"""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

FEATURES = 50
ROWS = [1_000_000, 500_000, 200_000, 50_000]
CPU_SECONDS_MAX = 15 * 60

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
assert len(scores) == len(views[1].get_columns()), scores
"""

PEERS = [("Evidently", "EVIDENTLY_PYTHON", EVIDENTLY), ("whylogs", "WHYLOGS_PYTHON", WHYLOGS)]


def write(path, rows, shift, seed):
    """Ten times the same tenth: what counts is how much there is to read. In a process of its own, so that NumPy is not in this one."""
    import numpy as np

    block = np.random.default_rng(seed).normal(shift, 1, (rows // 10, FEATURES)).round(5).astype(str)
    text = "\n".join(map(",".join, block)) + "\n"
    with open(path, "w") as file:
        file.write(",".join(f"f{number}" for number in range(FEATURES)) + "\n")
        for _ in range(10):
            file.write(text)


def measured(command):
    """CPU-seconds and MiB; `None` when it did not end in time."""
    limit = (CPU_SECONDS_MAX, CPU_SECONDS_MAX + 10)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit)
        )
        _, status, usage = os.wait4(process.pid, 0)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    process.returncode = code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGXCPU, -signal.SIGKILL) and usage.ru_utime + usage.ru_stime >= CPU_SECONDS_MAX:
        return None
    if code not in (0, 1) or "Traceback" in text:
        raise SystemExit(f"{command[0]} ended with {code}: {text[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def peers():
    """Those that are there, by name."""
    found = {}
    for name, variable, program in PEERS:
        if python := os.environ.get(variable):
            found[name] = [python, "-c", program]
        else:
            print(f"{name}: left out, {variable} is not set")
    return found


def compare(inferlog, rows, waiting, folder):
    """One size; gives the peers that did not end."""
    train, live, baseline = (str(Path(folder) / name) for name in ("train.csv", "live.csv", "b.json"))
    for arguments in [(train, rows // 10, 0.0, 1), (live, rows, 0.1, 2)]:
        writer = multiprocessing.Process(target=write, args=arguments)
        writer.start()
        writer.join()
        assert writer.exitcode == 0, "the files could not be written: is NumPy there?"
    print(f"{rows} rows x {FEATURES} features, {os.path.getsize(live) >> 20} MiB; training a tenth of that")

    def show(name, runs):
        seconds, memory = sum(run[0] for run in runs), max(run[1] for run in runs)
        rate = rows * FEATURES / seconds / 1e6
        print(f"  {name:<28}{seconds:>9.1f} CPU-s {rate:>8.3f} million values/CPU-s {memory:>8.0f} MiB", flush=True)

    made = measured([inferlog, "baseline", train, "-o", baseline])
    looked = measured([inferlog, "drift", "--baseline", baseline, live])
    show("inferlog baseline + drift", [made, looked])
    show("inferlog drift alone", [looked])
    slow = {}
    for name, command in waiting.items():
        if run := measured([*command, train, live]):
            show(name, [run])
        else:
            slow[name] = command
            print(f"  {name:<28}stopped after {CPU_SECONDS_MAX} CPU-s", flush=True)
    return slow


def main():
    rows = sorted((int(number) for number in sys.argv[2:]), reverse=True) or ROWS
    waiting = peers()
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            waiting = compare(sys.argv[1], count, waiting, folder)
        if not waiting:
            break
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory is told from {own:.0f} MiB on")
    if waiting:
        sys.exit(f"no size was small enough for: {', '.join(waiting)}")


main()
