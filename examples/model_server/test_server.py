"""Run with `python -m pytest` in this folder."""

import hashlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

LOG = Path(tempfile.mkdtemp()) / "logs" / "inference.ndjson"
os.environ["MODEL_LOG"] = str(LOG)

from fastapi.testclient import TestClient  # noqa: E402

import server  # noqa: E402

client = TestClient(server.app)
VERSION = server.MODEL_VERSION


def new_lines(request):
    """Sends the request; returns the answer and the lines that it left in the log."""
    before = len(LOG.read_bytes())
    answer = request()
    return answer, [json.loads(line) for line in LOG.read_bytes()[before:].splitlines()]


def samples():
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_a_prediction_is_answered_and_logged():
    features = {"amount": 12.5, "country": "DE", "hour": 13, "merchant": "Café 7"}
    answer, [line] = new_lines(lambda: client.post("/predict", json={"features": features}))
    assert answer.status_code == 200
    for name in ("request_id", "model_version", "prediction", "confidence"):
        assert line[name] == answer.json()[name]
    assert line["event"] == "inference"
    assert line["status"] == "success" and line["level"] == "info"
    assert line["features"] == features
    assert line["input_hash"] == server.hash_features(features)
    assert line["prediction"] == "legitimate" and 0.5 <= line["confidence"] <= 1
    assert 0 <= line["latency_ms"] < 60_000
    assert datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    ("body", "status_code", "error_type", "features_logged"),
    [
        ('{"features": {"country": "DE"}}', 422, "ValueError", True),
        ('{"features": {"amount": -1}}', 422, "ValueError", True),
        ('{"features": {"amount": 1, "hour": "13"}}', 500, "TypeError", True),
        ('{"features": {"amount": 123456789012345678901}}', 422, "IntegerDomainError", False),
        ('{"features": {"amount": NaN}}', 422, "FloatDomainError", False),
        ('{"features": {"amount": 1, "country": "\\ud800"}}', 422, "CanonicalizationError", False),
        ('{"features": {"amount": 1, "country": ["DE"]}}', 500, "TypeError", True),
        ('{"features": 7}', 422, "RequestValidationError", False),
        ("not json", 422, "RequestValidationError", False),
    ],
)
def test_a_failure_is_logged_too(body, status_code, error_type, features_logged):
    headers = {"content-type": "application/json", "x-request-id": "r-1"}
    answer, [line] = new_lines(lambda: client.post("/predict", content=body, headers=headers))
    assert answer.status_code == status_code
    assert line["request_id"] == answer.json()["request_id"] == "r-1"
    assert line["event"] == "inference"
    assert line["status"] == line["level"] == "error"
    assert line["error_type"] == error_type
    assert "prediction" not in line and "confidence" not in line
    assert ("features" in line) == ("input_hash" in line) == features_logged


def test_metrics_agree_with_the_requests():
    before = samples()
    for amount in (5, 50, 500_000, None):
        client.post("/predict", json={"features": {"amount": amount, "country": "FR"}})
    grown = {key: value - before.get(key, 0) for key, value in samples().items()}
    version = ("model_version", VERSION)
    assert grown[("model_requests_total", version, ("status", "success"))] == 3
    assert grown[("model_requests_total", version, ("status", "error"))] == 1
    assert grown[("model_predictions_total", ("label", "legitimate"))] == 2
    assert grown[("model_predictions_total", ("label", "fraud"))] == 1
    assert grown[("model_latency_seconds_count", version)] == 4
    assert grown[("model_confidence_count",)] == 3
    edges = [dict(key[1:])["le"] for key in grown if key[0] == "model_confidence_bucket"]
    assert edges == ["0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99", "+Inf"]
    edges = [dict(key[1:])["le"] for key in grown if key[0] == "model_latency_seconds_bucket"]
    assert edges == ["0.01", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "+Inf"]


def test_the_hash_is_of_the_canonical_form():
    canonical = '{"a":[1,true,null],"amount":12.5,"é":"x\\n"}'
    assert server.hash_features({"é": "x\n", "amount": 12.50, "a": [1.0, True, None]}) == (
        hashlib.sha256(canonical.encode()).hexdigest()
    )
