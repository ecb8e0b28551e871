"""The judge of drift's numbers: the program's own answers against NumPy and SciPy.

    psi.py BINARY FOLDER [--long]

Writes samples as CSV files into the folder, has the program make a baseline of one and measure the other, and compares: PSI with the
defining formula in NumPy to 1e-9, and what else there is a well-known implementation of: the p-value, made anew here from the same
counts with SciPy, Jensen-Shannon distance and Kolmogorov-Smirnov. Prints how many and the greatest differences; exits 1 when
something differs.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.spatial import distance

TOLERANCE = 1e-9
RANDOM = np.random.default_rng(20261126)


def psi(expected, actual, buckets=10):
    """The defining formula."""
    edges = np.histogram_bin_edges(expected, bins=buckets)
    e = np.histogram(expected, edges)[0] / len(expected)
    a = np.histogram(actual, edges)[0] / len(actual)
    return float(np.sum((a - e) * np.log((a + 1e-8) / (e + 1e-8))))


def p_value(trained, live):
    """As documented: rare columns together, Pearson's test, and Fisher's for the rare ones where they are too few for it."""
    m, n = sum(trained), sum(live)
    smaller = min(m, n)
    rare = [0, 0]
    columns = []
    for e, a in zip(trained, live):
        if e * smaller / m < 5:
            rare = [rare[0] + e, rare[1] + a]
        else:
            columns.append([e, a])
    exact = None
    if sum(rare) * smaller / (m + n) >= 5:
        columns.append(rare)
    elif columns and sum(rare):
        columns[-1] = [columns[-1][0] + rare[0], columns[-1][1] + rare[1]]
        is_more = rare[1] / n > rare[0] / m
        exact = stats.hypergeom.sf(rare[1] - 1, m + n, sum(rare), n) if is_more else 1.0
    pearson = 1.0
    if len(columns) > 1:
        pearson = stats.chi2_contingency(np.array(columns).T, correction=False).pvalue
    return pearson if exact is None else min(1.0, 2 * min(pearson, exact))


def ks(trained, live):
    """Of what has an order."""
    e, a = np.cumsum(trained) / sum(trained), np.cumsum(live) / sum(live)
    return float(np.max(np.abs(e - a)))


def small_cases():
    """Pairs of training and live values by name, all as many in each."""
    yield "constant", [3.0] * 400, [3.0] * 400
    yield "constant, live elsewhere", [3.0] * 400, [4.0] * 400
    yield "constant zero", [0.0] * 400, list(RANDOM.normal(0, 1, 400))
    bimodal = np.concatenate([RANDOM.uniform(0, 1, 200), RANDOM.uniform(9, 10, 200)])
    yield "empty buckets", bimodal, RANDOM.uniform(0, 10, 400)
    yield "all live outside", RANDOM.normal(0, 1, 400), RANDOM.normal(1000, 1, 400)
    yield "all live below and above", RANDOM.normal(0, 1, 400), RANDOM.choice([-99.0, 99.0], 400)
    live = RANDOM.normal(0, 1, 400)
    live[::7] = np.nan
    yield "some live are NaN", RANDOM.normal(0, 1, 400), live
    live = RANDOM.normal(0, 1, 400)
    live[::5], live[::9] = np.inf, -np.inf
    yield "some live are infinite", RANDOM.normal(0, 1, 400), live
    yield "all live are NaN", RANDOM.normal(0, 1, 400), [np.nan] * 400
    for exponent in (-320, -300, -200, -20, 20, 200, 300):
        scale = float(f"1e{exponent}")
        yield f"magnitude 1e{exponent}", RANDOM.normal(0, 1, 400) * scale, RANDOM.normal(0.5, 1, 400) * scale
    yield "a large offset", 1e15 + RANDOM.integers(0, 50, 400), 1e15 + RANDOM.integers(0, 60, 400)
    yield "an offset near what digits can tell", 1e9 + RANDOM.normal(0, 1e-3, 400), 1e9 + RANDOM.normal(0, 1e-3, 400)
    yield "whole numbers on edges", RANDOM.integers(0, 11, 400), RANDOM.integers(-1, 12, 400)
    yield "tenths on edges", RANDOM.integers(0, 11, 400) / 10, RANDOM.integers(0, 11, 400) / 10
    yield "thirds", RANDOM.integers(0, 31, 400) / 3, RANDOM.integers(0, 31, 400) / 3
    yield "heavy tails", RANDOM.standard_cauchy(400), RANDOM.standard_cauchy(400)
    yield "one value apart", [1.0] * 399 + [2.0], [1.0] * 400
    for number in range(120):
        shape = number % 6
        shift, scale = RANDOM.uniform(-1, 1), RANDOM.uniform(0.5, 2)
        draw = [
            lambda: RANDOM.normal(0, 1, 400),
            lambda: RANDOM.lognormal(0, 1, 400),
            lambda: RANDOM.uniform(-3, 3, 400),
            lambda: RANDOM.exponential(1, 400),
            lambda: RANDOM.integers(0, 40, 400).astype(float),
            lambda: np.round(RANDOM.normal(0, 1, 400), 1),
        ][shape]
        yield f"random {number}", draw(), draw() * scale + shift


class Judge:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)
        self.cases = self.others = 0
        self.greatest = self.greatest_other = 0.0
        self.wrong = []

    def inferlog(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{arguments}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def table(self, name, columns):
        path = self.folder / name
        with open(path, "w") as file:
            file.write(",".join(columns) + "\n")
            for row in zip(*columns.values()):
                file.write(",".join(repr(float(value)) for value in row) + "\n")
        return path

    def judge(self, name, cases):
        """Cases of equally many values each: `{column: (training, live)}`."""
        train = self.table(f"{name}-train.csv", {column: pair[0] for column, pair in cases.items()})
        live = self.table(f"{name}-live.csv", {column: pair[1] for column, pair in cases.items()})
        baseline = self.folder / f"{name}.json"
        self.inferlog("baseline", train, "-o", baseline)
        features = {one["name"]: one for one in json.loads(baseline.read_text())["baselines"][0]["features"]}
        lines = self.inferlog("drift", "--baseline", baseline, live, "--format", "json").splitlines()
        found = {line["feature"]: line for line in map(json.loads, lines)}
        if set(found) != set(cases):
            self.wrong.append(f"{name}: {set(cases) ^ set(found)} are not in both")
        for column, (trained, values) in cases.items():
            self.compare(f"{name}, {column}", psi(np.asarray(trained, float), np.asarray(values, float)), found[column]["psi"])
            self.compare_others(f"{name}, {column}", features[column]["counts"], found[column])
        train.unlink()
        live.unlink()

    def compare(self, name, expected, value):
        self.cases += 1
        difference = abs(expected - value) if value is not None else math.inf
        self.greatest = max(self.greatest, difference)
        if not difference <= TOLERANCE:
            self.wrong.append(f"PSI of {name}: {value}, NumPy says {expected}")

    def compare_others(self, name, trained, line):
        counts = line["counts"]
        outside = [counts.get(name, 0) for name in ("below", "above", "not_a_number")]
        live = [outside[0], *counts["buckets"], *outside[1:]]
        pairs = [
            ("p_value", p_value([1, *trained, 1, 0], live)),
            ("js_distance", distance.jensenshannon([0, *trained, 0, 0], live, base=2)),
        ]
        if sum(live[:-1]):
            pairs.append(("ks_statistic", ks([0, *trained, 0], live[:-1])))
        for measure, expected in pairs:
            self.others += 1
            # SciPy's distance has a floor of rounding: 0 may be 1e-8.
            difference = abs(line[measure] - expected)
            difference = 0.0 if measure == "js_distance" and max(line[measure], expected) < 1e-7 else difference
            self.greatest_other = max(self.greatest_other, difference)
            if not difference <= TOLERANCE:
                self.wrong.append(f"{measure} of {name}: {line[measure]}, SciPy says {expected}")


def main():
    judge = Judge(sys.argv[1], sys.argv[2])
    judge.judge("small", {name.replace(",", ";"): (trained, live) for name, trained, live in small_cases()})
    judge.judge("single", {"single": ([5.0], [5.0])})
    judge.judge("single-elsewhere", {"single": ([5.0], [7.0])})
    judge.judge("one-live", {"one": (RANDOM.normal(0, 1, 1), RANDOM.normal(0, 1, 1))})
    sizes = [1_000_000] + ([10_000_000] if "--long" in sys.argv else [])
    for size in sizes:
        trained, live = RANDOM.normal(0, 1, size), RANDOM.normal(0.1, 1.2, size)
        judge.judge(f"large-{size}", {"large": (trained, live)})
    for wrong in judge.wrong[:20]:
        print(wrong)
    print(f"{judge.cases} values of PSI, greatest difference {judge.greatest:.1e}; up to {max(sizes)} values a sample")
    print(f"{judge.others} p-values, distances and statistics, greatest difference {judge.greatest_other:.1e}")
    sys.exit(1 if judge.wrong else 0)


main()
