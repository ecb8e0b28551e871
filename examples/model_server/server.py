"""A model server that logs every inference as one JSON line and counts it for Prometheus.

Environment: MODEL_LOG (the log file, default logs/inference.ndjson beside this file), MODEL_VERSION.
"""

import hashlib
import os
import time
import uuid
from pathlib import Path
from typing import Any

import rfc8785
import structlog
from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel

import model

MODEL_VERSION = os.environ.get("MODEL_VERSION", "anomaly-3.2.1")
MODEL_LOG = Path(os.environ.get("MODEL_LOG", Path(__file__).parent / "logs" / "inference.ndjson"))

REQUESTS = Counter("model_requests_total", "Inference requests", ["model_version", "status"])
LATENCY = Histogram(
    "model_latency_seconds", "Time to answer", ["model_version"], buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
)
PREDICTIONS = Counter("model_predictions_total", "Predictions by label", ["label"])
CONFIDENCE = Histogram(
    "model_confidence", "Confidence of the predicted label", buckets=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
)

MODEL_LOG.parent.mkdir(parents=True, exist_ok=True)
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ],
    logger_factory=structlog.WriteLoggerFactory(file=MODEL_LOG.open("a", encoding="utf-8")),
)
log = structlog.get_logger()
app = FastAPI(title="anomaly-detector")


class PredictRequest(BaseModel):
    features: dict[str, Any]


def hash_features(features: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON (RFC 8785): the same input has the same hash, however it was written.

    Raises ValueError for what JSON cannot exchange: NaN, infinity, integers beyond 2**53.
    """
    return hashlib.sha256(rfc8785.dumps(features)).hexdigest()


def record(request_id: str | None, started: float, **fields: Any) -> dict[str, Any]:
    """Logs and counts one inference, failed or not, and returns what the log line says."""
    latency_seconds = time.perf_counter() - started
    failed = "prediction" not in fields
    line = {
        "request_id": request_id or uuid.uuid4().hex,
        "model_version": MODEL_VERSION,
        **fields,
        "latency_ms": round(latency_seconds * 1000, 3),
        "status": "error" if failed else "success",
    }
    REQUESTS.labels(MODEL_VERSION, line["status"]).inc()
    LATENCY.labels(MODEL_VERSION).observe(latency_seconds)
    if failed:
        log.error("inference", **line)
    else:
        PREDICTIONS.labels(fields["prediction"]).inc()
        CONFIDENCE.observe(fields["confidence"])
        log.info("inference", **line)
    return line


def failure(status_code: int, detail: str, line: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"request_id": line["request_id"], "detail": detail}, status_code)


@app.post("/predict")
def predict(request: PredictRequest, x_request_id: str | None = Header(None, max_length=128)) -> Any:
    started = time.perf_counter()
    logged: dict[str, Any] = {}
    try:
        logged["input_hash"] = hash_features(request.features)
        logged["features"] = request.features
        label, confidence = model.predict(request.features)
    except Exception as error:
        # Only the kind of error is logged: its text may quote the input.
        line = record(x_request_id, started, **logged, error_type=type(error).__name__)
        if isinstance(error, ValueError):
            return failure(422, str(error), line)
        return failure(500, "the model failed", line)
    line = record(x_request_id, started, **logged, prediction=label, confidence=round(confidence, 6))
    return {name: line[name] for name in ("request_id", "model_version", "prediction", "confidence")}


@app.exception_handler(RequestValidationError)
def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    request_id = request.headers.get("x-request-id", "")[:128]
    line = record(request_id, time.perf_counter(), error_type=type(error).__name__)
    return failure(422, 'the body must be {"features": {...}}', line)


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
