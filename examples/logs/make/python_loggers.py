"""Runs structlog, its orjson renderer, python-json-logger, loguru, and uvicorn around a model server.

Packages: structlog orjson python-json-logger loguru uvicorn httpx freezegun
"""

import asyncio
import io
import json
import logging
import re
import socket
import sys
import threading

import freezegun
import httpx
import loguru
import orjson
import structlog
import uvicorn
from pythonjsonlogger.json import JsonFormatter

from requests_of_a_day import requests, write


def fail():
    raise ValueError("the model gave no answer")


def by_structlog():
    out = io.StringIO()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=out),
    )
    log = structlog.get_logger()
    for r in requests(24):
        with freezegun.freeze_time(r["at"]):
            features = dict(r["features"])
            if r["n"] in (5, 11):
                features["amount"] = float("nan")  # Python's json writes the bare word NaN
            log.info(
                "inference",
                request_id=r["request_id"],
                model_version="fraud-3.2.1",
                features=features,
                prediction=r["prediction"],
                confidence=r["confidence"],
                latency_ms=r["latency_ms"],
                status="success",
                user={"email": r["email"]},
            )
            if r["n"] == 12:
                try:
                    fail()
                except ValueError:
                    log.exception("model failed", request_id="r-failed", status="error")
    text = re.sub(r'File \\"[^"]*/make/', r'File \\"/srv/', out.getvalue())
    write("structlog", text.splitlines())


def by_structlog_orjson():
    out = io.BytesIO()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file=out),
    )
    log = structlog.get_logger()
    for r in requests(24, seed=8):
        with freezegun.freeze_time(r["at"]):
            missing = float("nan") if r["n"] == 4 else r["features"]["amount"]  # orjson writes null
            log.info(
                "prediction served",
                id=r["request_id"],
                model={"name": "fraud", "version": "3.2.1"},
                inputs={**r["features"], "amount": missing},
                label=r["prediction"],
                score=r["confidence"],
                duration_s=r["latency_ms"] / 1000,
            )
            if r["n"] % 8 == 7:
                log.info("health check")
    write("structlog-orjson", out.getvalue().decode().splitlines())


def by_python_json_logger():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.Logger("model")
    logger.addHandler(handler)
    for r in requests(24, seed=9):
        with freezegun.freeze_time(r["at"]):
            logger.info(
                "predicted",
                extra={
                    "request_id": r["request_id"],
                    "model_version": "fraud-3.2.1",
                    "features": r["features"],
                    "prediction": r["prediction"],
                    "confidence": f"{r['confidence'] * 100:.1f}%",
                    "latency": f"{r['latency_ms']}ms",
                    "customer_email": r["email"],
                },
            )
            if r["n"] == 10:
                out.write("/srv/model.py:12: UserWarning: X does not have valid feature names\n  warnings.warn(\n")
    write("python-json-logger", out.getvalue().splitlines())


def by_loguru():
    out = io.StringIO()
    logger = loguru.logger
    logger.remove()
    logger.add(out, serialize=True)
    for r in requests(20, seed=10):
        with freezegun.freeze_time(r["at"]):
            logger.bind(
                request_id=r["request_id"],
                model_version="fraud-3.2.1",
                features=r["features"],
                prediction=r["prediction"],
                confidence=r["confidence"],
                latency_ms=r["latency_ms"],
            ).info("predicted for {}", r["email"])
    text = re.sub(r'"process": \{"id": \d+', '"process": {"id": 4242', out.getvalue())
    text = re.sub(r'"thread": \{"id": \d+', '"thread": {"id": 140000000000001', text)
    text = re.sub(r'"path": "[^"]*"', '"path": "/srv/server.py"', text)
    text = re.sub(r'"elapsed": \{"repr": "[^"]*", "seconds": [-0-9.]+', '"elapsed": {"repr": "0:00:01", "seconds": 1.0', text)
    write("loguru", text.splitlines())


def by_uvicorn():
    out = io.StringIO()
    answers = list(requests(20, seed=11))

    async def app(scope, receive, send):
        if scope["path"].startswith("/predict/"):
            r = answers[int(scope["path"].rsplit("/", 1)[1])]
            record = {
                "event": "inference", "timestamp": r["at"].isoformat(), "request_id": r["request_id"],
                "model_version": "fraud-3.2.1", "features": r["features"], "prediction": r["prediction"],
                "confidence": r["confidence"], "latency_ms": r["latency_ms"], "status": "success",
            }
            out.write(json.dumps(record) + "\n")
            if r["n"] == 13:
                raise ValueError("the model gave no answer")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    config = json.loads(json.dumps(uvicorn.config.LOGGING_CONFIG))
    for handler in config["handlers"].values():
        handler["stream"] = "ext://__main__.STREAM"
    globals()["STREAM"] = out
    sys.modules["__main__"].STREAM = out
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_config=config, use_colors=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for n in range(20):
            client.get(f"/predict/{n}")
            if n % 6 == 5:
                client.get("/healthz")
    server.should_exit = True
    thread.join()
    text = re.sub(r"127\.0\.0\.1:\d+", "10.0.0.9:43210", out.getvalue())
    text = re.sub(r"process \[\d+\]", "process [4242]", text)
    text = re.sub(r'File "[^"]*/(site-packages/|make/)', r'File "/srv/\1', text)
    write("uvicorn", text.splitlines())


by_structlog()
by_structlog_orjson()
by_python_json_logger()
by_loguru()
by_uvicorn()
