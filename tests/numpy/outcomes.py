"""The judge of the figures of outcomes: the library's own answers against scikit-learn and NumPy.

    outcomes.py write FOLDER              writes cases.ndjson, data of which figures are to be made
    outcomes.py judge FOLDER [--nannyml]  reads figures.ndjson, a line a case, and compares to 1e-9

Estimated accuracy is compared with NannyML's CBPE, as what it is: scikit-learn's isotonic regression, which is its calibrator. With
--nannyml also with NannyML itself, where that is installed. Prints how many figures there were, and the greatest difference; exits
1 when something differs.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

TOLERANCE = 1e-9
CBPE_TOLERANCE = 0.003
RANDOM = np.random.default_rng(20261127)


def classified(name, prediction, label, confidence, positive=None):
    texts = [[str(value) for value in column] for column in (prediction, label)]
    numbers = [None if value is None or math.isnan(value) else float(value) for value in confidence]
    return {
        "name": name,
        "prediction": texts[0],
        "label": texts[1],
        "confidence": numbers,
        "positive": positive,
    }


def binary(name, size, share, digits=None, threshold=0.5, sharpness=1.0):
    """A classifier with two classes; `share` of the outcomes are positive."""
    truth = RANDOM.random(size) < share
    score = 1 / (1 + np.exp(-sharpness * (RANDOM.normal(0, 1, size) + 2 * truth - 1)))
    score = score if digits is None else np.round(score, digits)
    predicted = score >= threshold
    confidence = np.where(predicted, score, 1 - score)
    words = np.array(["no", "yes"])
    return classified(name, words[predicted.astype(int)], words[truth.astype(int)], confidence, "yes")


def several(name, size, classes, positive=None, never=None, digits=None):
    """A classifier with several classes, one of which it never predicts."""
    truth = RANDOM.integers(0, classes, size)
    score = RANDOM.dirichlet(np.ones(classes), size) + 0.4 * np.eye(classes)[truth]
    if never is not None:
        score[:, never] = 0
    score /= score.sum(axis=1, keepdims=True)
    confidence = score.max(axis=1)
    confidence = confidence if digits is None else np.round(confidence, digits)
    return classified(name, score.argmax(axis=1), truth, confidence, positive)


def classification_cases():
    yield binary("binary", 1_000, 0.4)
    yield binary("binary, 100,000", 100_000, 0.3)
    yield binary("imbalanced at 0.1 %", 100_000, 0.001)
    yield binary("imbalanced at 0.1 %, ties", 100_000, 0.001, digits=2)
    yield binary("the threshold is not a half", 5_000, 0.1, threshold=0.2)
    yield binary("ties in scores", 2_000, 0.3, digits=1)
    yield binary("two scores", 500, 0.5, digits=0)
    yield binary("sure of everything", 2_000, 0.5, sharpness=50.0)
    yield several("several classes", 3_000, 7, positive="3")
    yield several("one hundred classes", 20_000, 100)
    yield several("a class that is never predicted", 2_000, 4, positive="2", never=2)
    yield several("a class that is never predicted, ties", 2_000, 4, positive="1", never=0, digits=1)
    yield several("100,000 of five classes", 100_000, 5, positive="0")
    yield classified("one class only", ["a"] * 50, ["a"] * 50, RANDOM.random(50), "a")
    yield classified("one class only, and another is looked for", ["a"] * 50, ["a"] * 50, RANDOM.random(50), "b")
    yield classified("always wrong", ["a"] * 50, ["b"] * 50, RANDOM.random(50), "a")
    yield classified("the positive class is never true", ["a", "b"] * 25, ["b"] * 50, RANDOM.random(50), "a")
    yield classified("no labels at all", [], [], [], "a")
    yield classified("one outcome, right", ["a"], ["a"], [0.7], "a")
    yield classified("one outcome, wrong", ["a"], ["b"], [0.7], "b")
    yield classified("without confidence", ["a", "b", "a"], ["a", "a", "b"], [None] * 3, "a")
    some = [None if number % 3 else number / 300 for number in range(300)]
    yield classified("some without confidence", ["a", "b"] * 150, ["a", "b", "b"] * 100, some, "a")
    edges = np.concatenate([np.linspace(0, 1, 11), np.arange(11) / 10, np.nextafter(np.linspace(0, 1, 11), 0.5)])
    yield classified("confidences on edges of bins", ["a"] * 33, ["a", "b", "a"] * 11, edges, "a")
    yield classified("confidences of 0 and 1", ["a", "b"] * 8, ["a", "a"] * 8, [0.0, 1.0, 1.0, 0.0] * 4, "a")
    tiny = 10.0 ** -RANDOM.integers(0, 300, 400).astype(float)
    yield classified("confidences near 0", ["a", "b"] * 200, RANDOM.choice(["a", "b"], 400), tiny, "a")
    yield classified("confidences near 1", ["a", "b"] * 200, RANDOM.choice(["a", "b"], 400), 1 - tiny, "a")
    for number in range(150):
        size, digits = int(RANDOM.integers(1, 60)), [None, 1, 2][number % 3]
        yield binary(f"random {number}, binary", size, RANDOM.random(), digits=digits)
        yield several(f"random {number}, several", size, int(RANDOM.integers(2, 9)), positive="1", digits=digits)


def regression_cases():
    def case(name, prediction, label, origin=0.0):
        columns = {"predicted": [float(x) for x in prediction], "true": [float(x) for x in label]}
        return {"name": name, "origin": origin, **columns}

    def noisy(name, size, offset, scale, error, origin=0.0):
        label = offset + scale * RANDOM.normal(0, 1, size)
        return case(name, label + error * RANDOM.normal(0.1, 1, size), label, origin)

    yield noisy("regression", 1_000, 0, 1, 0.3)
    yield noisy("regression, 100,000", 100_000, 50, 20, 5)
    for exponent in (3, 6, 9, 12):
        yield noisy(f"an offset of 1e{exponent}", 2_000, 10.0**exponent, 50, 20)
    # Here scikit-learn's own mean is rounded: it is asked about the same numbers without the offset.
    yield noisy("an offset of 1e15", 2_000, 1e15, 50, 20, origin=1e15)
    yield noisy("an offset of 1e9 and little else", 2_000, 1e9, 1e-3, 1e-4)
    for exponent in (-100, -20, 20, 100):
        scale = 10.0**exponent
        yield noisy(f"magnitude 1e{exponent}", 500, 0, scale, scale)
    label = np.concatenate([[1e12], RANDOM.normal(0, 1, 999)])
    yield case("the first one far away", label + RANDOM.normal(0, 1, 1_000), label)
    yield case("all labels the same", RANDOM.normal(0, 1, 50), [3.25] * 50)
    yield case("all labels the same, and right", [0.25] * 50, [0.25] * 50)
    yield case("nothing but right", range(50), range(50))
    yield case("no better than the mean", [2] * 3, [1, 2, 3])
    yield case("regression of nothing", [], [])
    yield case("regression of one", [1], [3])
    yield case("heavy tails", RANDOM.standard_cauchy(5_000), RANDOM.standard_cauchy(5_000))
    for number in range(100):
        size = int(RANDOM.integers(1, 50))
        yield noisy(f"random {number}, regression", size, RANDOM.normal(0, 100), RANDOM.random() * 10, RANDOM.random() * 5)


def estimate_cases():
    """Scores of a model that is not calibrated, for outcomes with labels, and for predictions that have none yet."""

    def draw(size, mean, sharpness):
        logit = RANDOM.normal(mean, 1.5, size)
        score = 1 / (1 + np.exp(-sharpness * logit))
        return score, (RANDOM.random(size) < 1 / (1 + np.exp(-logit))).astype(int)

    for name, mean, sharpness in [
        ("as before", 0.0, 1.0),
        ("as before, too sure", 0.0, 1.6),
        ("as before, too little sure", 0.0, 0.6),
        ("surer than before", 1.5, 1.0),
        ("surer than before, too sure", 1.5, 1.6),
        ("less sure than before", -0.2, 1.6),
    ]:
        known, truth = draw(50_000, 0.4, sharpness)
        live, later = draw(50_000, mean, sharpness)
        yield {
            "name": f"estimate, {name}",
            "known_score": known.tolist(),
            "known_label": truth.tolist(),
            "live_score": live.tolist(),
            "live_label": later.tolist(),
        }


def order_cases():
    for size in (0, 1, 2, 3, 10, 501, 1_000):
        yield {"name": f"median of {size}", "durations": np.sort(np.round(RANDOM.exponential(1e5, size), 3)).tolist()}


def write(folder):
    with open(folder / "cases.ndjson", "w") as file:
        for cases in (classification_cases(), regression_cases(), estimate_cases(), order_cases()):
            for case in cases:
                file.write(json.dumps(case) + "\n")


def absent(value):
    """A figure whose denominator is 0."""
    return None if value is None or not math.isfinite(value) else float(value)


def of_classification(case):
    """All figures of a case by name, as scikit-learn makes them."""
    prediction, label = np.array(case["prediction"]), np.array(case["label"])
    yield "outcomes", len(label)
    has = np.array([value is not None for value in case["confidence"]], dtype=bool)
    yield "without_confidence", int((~has).sum())
    if not len(label):
        yield from [("accuracy", None), ("brier_score", None), ("expected_calibration_error", None)]
        yield from of_positive(prediction, label, has, np.array([]), case["positive"])
        return
    yield "accuracy", metrics.accuracy_score(label, prediction)
    classes = sorted(set(label) | set(prediction))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        label, prediction, labels=classes, average=None, zero_division=np.nan
    )
    for number, name in enumerate(classes):
        yield f"precision {name}", absent(precision[number])
        yield f"recall {name}", absent(recall[number])
        yield f"f1 {name}", absent(f1[number])
    confusion = metrics.confusion_matrix(label, prediction, labels=classes)
    for row, column in zip(*np.nonzero(confusion)):
        yield f"confusion {classes[row]} {classes[column]}", int(confusion[row, column])
    confidence = np.array([value for value in case["confidence"] if value is not None])
    yield from of_confidence((prediction == label)[has].astype(int), confidence)
    yield from of_positive(prediction, label, has, confidence, case["positive"])


def of_confidence(correct, confidence):
    if not len(confidence):
        yield from [("brier_score", None), ("expected_calibration_error", None)]
        return
    yield "brier_score", metrics.brier_score_loss(correct, confidence, pos_label=1)
    accuracies, confidences = calibration_curve(correct, confidence, n_bins=10, strategy="uniform")
    # The same bins as in there, which does not say how many are in each.
    numbers = np.bincount(np.searchsorted(np.linspace(0, 1, 11)[1:-1], confidence), minlength=10)
    weights = numbers[numbers > 0] / len(confidence)
    yield "expected_calibration_error", float(np.sum(weights * np.abs(accuracies - confidences)))
    for bin, accuracy, mean in zip(np.nonzero(numbers)[0], accuracies, confidences):
        yield f"bin {bin} accuracy", float(accuracy)
        yield f"bin {bin} confidence", float(mean)


def of_positive(prediction, label, has, confidence, positive):
    if positive is None:
        return
    predicted, truth = prediction == positive, label == positive
    for name, figure in [("precision", metrics.precision_score), ("recall", metrics.recall_score), ("f1", metrics.f1_score)]:
        value = figure(truth, predicted, zero_division=np.nan) if len(label) else None
        yield f"positive {name}", absent(value)
    if not len(label):
        yield from [("positive false_positive_rate", None), ("average_precision", None)]
        return
    (negatives, false_positives), _ = metrics.confusion_matrix(truth, predicted, labels=[False, True])
    rate = false_positives / (negatives + false_positives) if negatives + false_positives else None
    yield "positive false_positive_rate", rate
    score = np.where(predicted[has], confidence, 1 - confidence)
    value = metrics.average_precision_score(truth[has], score) if truth[has].any() else None
    yield "average_precision", value
    if set(label) | set(prediction) == {positive, "no"} and len(confidence):
        # What the rustdoc says of two classes: the score of the predicted class is that of the positive one.
        yield "brier_score", metrics.brier_score_loss(truth[has], score, pos_label=True)


def of_regression(case):
    prediction, label = (np.array(case[column]) - case["origin"] for column in ("predicted", "true"))
    yield "outcomes", len(label)
    if not len(label):
        yield from [(name, None) for name in ("mean_absolute_error", "root_mean_squared_error", "r2_score", "bias")]
        return
    yield "mean_absolute_error", metrics.mean_absolute_error(label, prediction)
    yield "root_mean_squared_error", metrics.root_mean_squared_error(label, prediction)
    yield "bias", math.fsum(prediction - label) / len(label)
    yield "r2_score", absent(metrics.r2_score(label, prediction, force_finite=False))


def of_order(case):
    values = case["durations"]
    yield "median", float(np.median(values)) if values else None


class Judge:
    def __init__(self, with_nannyml):
        self.with_nannyml = with_nannyml
        self.cases = self.figures = self.absent = self.estimates = self.by_nannyml = 0
        self.greatest = self.greatest_estimate = 0.0
        self.wrong = []

    def judge(self, case, found):
        self.cases += 1
        if "known_score" in case:
            self.judge_estimate(case, found)
            return
        of = of_classification if "label" in case else of_regression if "true" in case else of_order
        expected = list(of(case))
        for name, value in expected:
            self.compare(case["name"], name, value, found.get(name, "missing"))
        more = set(found) - {name for name, _ in expected}
        if more:
            self.wrong.append(f"{case['name']}: figures that scikit-learn does not have: {sorted(more)[:5]}")

    def compare(self, case, name, expected, value):
        self.figures += 1
        if expected is None or value is None or value == "missing":
            self.absent += 1
            if expected is not None or value is not None:
                self.wrong.append(f"{case}: {name} is {value}, scikit-learn says {expected}")
            return
        # Relative for what has a unit of its own, absolute for what is at most 1.
        difference = abs(expected - value) / max(1.0, abs(expected))
        if name in ("mean_absolute_error", "root_mean_squared_error", "median") and expected:
            difference = abs(expected - value) / abs(expected)
        self.greatest = max(self.greatest, difference)
        if not difference <= TOLERANCE:
            self.wrong.append(f"{case}: {name} is {value}, scikit-learn says {expected}")

    def judge_estimate(self, case, found):
        """CBPE: the calibrated probability of the class that was predicted, on average."""
        known, live = np.array(case["known_score"]), np.array(case["live_score"])
        calibrated = IsotonicRegression(out_of_bounds="clip", increasing=True).fit(known, case["known_label"]).predict(live)
        cbpe = float(np.mean(np.where(live >= 0.5, calibrated, 1 - calibrated)))
        truth = float(np.mean((live >= 0.5) == np.array(case["live_label"])))
        said = f"{found['accuracy']:.5f} ({found['lower']:.5f} to {found['upper']:.5f}), CBPE {cbpe:.5f}, in truth {truth:.5f}"
        print(f"{case['name']}: {said}")
        self.estimates += 1
        difference = abs(found["accuracy"] - cbpe)
        self.greatest_estimate = max(self.greatest_estimate, difference)
        if not difference <= CBPE_TOLERANCE or not found["lower"] <= truth <= found["upper"]:
            self.wrong.append(f"{case['name']}: {said}")
        if self.with_nannyml:
            self.judge_cbpe(case, cbpe)

    def judge_cbpe(self, case, cbpe):
        """What stands above as CBPE against NannyML, which only calibrates where that helps."""
        import nannyml
        import pandas

        def frame(scores, labels):
            scores = np.array(scores)
            return pandas.DataFrame({"score": scores, "prediction": (scores >= 0.5).astype(int), "label": labels})

        judge = nannyml.CBPE(
            y_pred_proba="score",
            y_pred="prediction",
            y_true="label",
            problem_type="classification_binary",
            metrics=["accuracy"],
            chunk_number=1,
        )
        judge.fit(frame(case["known_score"], case["known_label"]))
        live = judge.estimate(frame(case["live_score"], case["live_label"])).filter(period="analysis").to_df()
        value = float(live[("accuracy", "value")].iloc[0])
        self.by_nannyml += 1
        print(f"    NannyML {nannyml.__version__}: {value:.5f}, {'calibrated' if judge.needs_calibration else 'as it is'}")
        if judge.needs_calibration and abs(value - cbpe) > TOLERANCE:
            self.wrong.append(f"{case['name']}: CBPE is {cbpe}, NannyML says {value}")


def main():
    warnings.filterwarnings("ignore")
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "write":
        write(folder)
        return
    judge = Judge("--nannyml" in sys.argv)
    with open(folder / "cases.ndjson") as cases, open(folder / "figures.ndjson") as figures:
        for case, found in zip(cases, figures, strict=True):
            judge.judge(json.loads(case), json.loads(found))
    for wrong in judge.wrong[:20]:
        print(wrong)
    print(f"{judge.figures} figures of {judge.cases} cases, {judge.absent} of them absent, greatest difference {judge.greatest:.1e}")
    print(f"{judge.estimates} estimates, greatest difference from CBPE {judge.greatest_estimate:.1e}")
    if judge.with_nannyml:
        print(f"{judge.by_nannyml} of them by NannyML, too")
    sys.exit(1 if judge.wrong else 0)


main()
