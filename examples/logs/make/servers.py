"""Runs Ray Serve's and BentoML's own writers, OpenTelemetry's SDK, and LiteLLM with a mocked answer.

Packages: ray[serve] bentoml litellm opentelemetry-sdk opentelemetry-exporter-otlp-proto-common freezegun
"""

import io
import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path

import freezegun

from requests_of_a_day import requests, write

FROZEN = {"ignore": ["transformers", "botocore"]}


def by_ray_serve():
    from ray.serve._private.logging_utils import JSONFormatter, access_log_msg

    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JSONFormatter())
    logger = logging.Logger("ray.serve")
    logger.addHandler(handler)
    for r in requests(20, seed=12):
        with freezegun.freeze_time(r["at"], **FROZEN):
            common = {
                "component_name": "replica", "component_id": "k3x9", "deployment": "Fraud", "replica": "k3x9",
                "request_id": r["request_id"], "route": "/predict", "application": "fraud",
            }
            logger.info("prediction", extra={
                **common, "features": r["features"], "prediction": r["prediction"], "confidence": r["confidence"],
                "model_version": "fraud-3.2.1",
            })
            message = access_log_msg(method="POST", route="/predict", status="200", latency_ms=r["latency_ms"])
            logger.info(message, extra={**common, "serve_access_log": True})
    text = re.sub(r'"process": \d+', '"process": 4242', out.getvalue())
    text = re.sub(r'"filename": "[^"]*"', '"filename": "replica.py"', text)
    write("ray-serve", text.splitlines())


def by_bentoml():
    import bentoml
    from bentoml._internal.context import trace_context

    folder = tempfile.mkdtemp()
    for r in requests(20, seed=13):
        # Its time is the host's local one and names no zone: this host was in Berlin.
        with freezegun.freeze_time(r["at"], tz_offset=1, **FROZEN):
            trace_context.request_id = 7_000_000_000_000_000_000 + r["n"]
            with bentoml.monitor("fraud", monitor_class="default", monitor_options={"log_path": folder}) as monitor:
                for name, value in r["features"].items():
                    kind = "categorical" if isinstance(value, str) else "numerical"
                    monitor.log(value, name=name, role="feature", data_type=kind)
                monitor.log(r["prediction"], name="label", role="prediction", data_type="categorical")
                monitor.log(r["score"], name="score", role="prediction", data_type="numerical")
    lines = Path(folder, "fraud/data/data.0.log").read_text().splitlines()
    write("bentoml", [re.sub(r'"request_id": "None"', '"request_id": "0"', line) for line in lines])


def by_opentelemetry():
    from google.protobuf.json_format import MessageToDict
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(Resource({"service.name": "fraud", "service.version": "3.2.1"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("model")
    lines = []
    for r in requests(24, seed=14):
        nanos = int(r["at"].timestamp() * 1000) * 1_000_000
        attributes = {
            "request_id": r["request_id"], "prediction": r["prediction"], "confidence": r["confidence"],
            "latency_ms": r["latency_ms"], "user.email": r["email"],
            **{f"features.{name}": value for name, value in r["features"].items()},
        }
        logger.emit(LogRecord(
            timestamp=nanos, observed_timestamp=nanos, severity_number=SeverityNumber.INFO, severity_text="INFO",
            body="inference", attributes=attributes,
        ))
        if r["n"] % 2:  # an export of two records is a line, as the collector's file exporter writes it
            lines.append(json.dumps(MessageToDict(encode_logs(exporter.get_finished_logs()), use_integers_for_enums=True)))
            exporter.clear()
    write("opentelemetry", lines)


def by_litellm():
    import asyncio

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # looks nothing up
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    lines = []

    class Writer(CustomLogger):
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            lines.append(json.dumps(kwargs["standard_logging_object"], default=str))

    litellm.callbacks = [Writer()]
    litellm.suppress_debug_info = True

    async def ask():
        for r in requests(20, seed=15):
            await litellm.acompletion(
                model="openai/gpt-4o-mini", api_key="none",
                messages=[{"role": "user", "content": f"Is {r['features']['amount']} a usual amount? Write to {r['email']}"}],
                mock_response=f"It is {r['prediction']}.", metadata={"user_api_key_user_id": f"user{r['n']}"},
            )
            for _ in range(200):
                if len(lines) > r["n"]:
                    break
                await asyncio.sleep(0.02)

    asyncio.run(ask())
    done = []
    for r, line in zip(requests(20, seed=15), lines):
        record = json.loads(line)
        at = r["at"].timestamp()
        took = r["latency_ms"] / 1000
        record.update(id=f"chatcmpl-{r['n']:04}", trace_id=f"t-{r['n']:04}", litellm_call_id=f"c-{r['n']:04}", startTime=at)
        record.update(endTime=round(at + took, 6), completionStartTime=round(at + took, 6), response_time=took)
        if isinstance(record.get("response"), dict):
            record["response"].update(id=record["id"], created=int(at))
        for long in ("model_parameters", "hidden_params", "model_map_information", "cost_breakdown", "metadata"):
            record.pop(long, None)
        done.append(json.dumps(record))
    write("litellm", done)


for name in sys.argv[1:] or ["ray_serve", "bentoml", "opentelemetry", "litellm"]:
    globals()[f"by_{name}"]()
