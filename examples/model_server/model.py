"""A small fraud model: a logistic function over a few features, always the same answer for the same input."""

import math
from typing import Any

COUNTRY_WEIGHTS = {"AT": -0.4, "CH": -0.2, "DE": -0.3, "ES": 0.1, "FR": -0.1, "GB": 0.2, "US": 0.3}


def predict(features: dict[str, Any]) -> tuple[str, float]:
    """Returns the label and its confidence (0.5 to 1, of the label that is returned).

    Raises ValueError for features that the model was not made for.
    """
    amount = features.get("amount")
    if not isinstance(amount, (int, float)) or isinstance(amount, bool):
        raise ValueError("amount must be a number")
    if amount < 0:
        raise ValueError("amount must not be negative")
    # An hour in quotes is a TypeError: the kind of bug that every model server has, and that its log must show.
    is_night = not 6 <= features.get("hour", 12) < 23
    country_weight = COUNTRY_WEIGHTS.get(features.get("country"), 0.5)
    score = -2.5 + 0.8 * math.log1p(amount / 50) + country_weight + 0.9 * is_night
    fraud = 1 / (1 + math.exp(-score))
    return ("fraud", fraud) if fraud >= 0.5 else ("legitimate", 1 - fraud)
