"""Writes logs of servers that do not install here, after their documentation, and of models of other kinds.

Packages: none.
"""

import base64
import json
import random
from datetime import timedelta

from requests_of_a_day import requests, write


def iso(at, z="Z"):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + z


def text(value):
    return json.dumps(value, separators=(",", ":"))


def row(r):
    return f"{r['features']['amount']},{r['features']['age']}"


def sagemaker():
    for r in requests(24, seed=20):
        broken = r["n"] == 9
        yield text({
            "captureData": {
                "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": row(r), "encoding": "CSV"},
                "endpointOutput": {
                    "observedContentType": "text/csv; charset=utf-8", "mode": "OUTPUT", "data": f"{r['score']}", "encoding": "CSV",
                },
            },
            "eventMetadata": {"eventId": r["request_id"], "inferenceTime": r["at"].strftime("%Y-%m-%dT%H:%M:%SZ")},
            "eventVersion": "0",
        })[: 120 if broken else None]


def azure_ml():
    """Two collectors, `model_inputs` and `model_outputs`, as CloudEvents with the rows in `data`."""
    for r in requests(12, seed=21):
        for kind, data in [
            ("inputs", [{**r["features"]}]),
            ("outputs", [{"prediction": r["prediction"], "probability": r["score"]}]),
        ]:
            yield text({
                "specversion": "1.0", "id": f"{r['request_id']}-{kind}",
                "source": "/subscriptions/0/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws/onlineEndpoints/fraud/deployments/blue",
                "type": f"azureml.inference.model_{kind}", "datacontenttype": "application/json", "time": iso(r["at"]),
                "data": data, "contentrange": "bytes 0-99/100", "correlationid": r["request_id"],
                "xrequestid": r["request_id"], "modelversion": "default", "collectdatatype": "pandas.core.frame.DataFrame",
                "agent": "azureml-ai-monitoring/1.0.0",
            })


def kserve():
    """What a sink of the logger's CloudEvents writes: KServe itself only posts them over HTTP."""
    for r in requests(12, seed=22):
        base = {"specversion": "1.0", "source": "http://localhost:9081/", "id": r["request_id"], "time": iso(r["at"]),
                "inferenceservicename": "fraud", "namespace": "models", "component": "predictor", "datacontenttype": "application/json"}
        yield text({**base, "type": "org.kubeflow.serving.inference.request",
                    "data": {"instances": [[r["features"]["amount"], r["features"]["age"]]]}})
        body = base64.b64encode(text({"predictions": [r["score"]]}).encode()).decode()
        answer = {"data_base64": body} if r["n"] % 4 == 3 else {"data": {"predictions": [r["score"]]}}
        yield text({**base, "time": iso(r["at"] + timedelta(milliseconds=9)), "type": "org.kubeflow.serving.inference.response", **answer})


def seldon():
    """The request logger's documents: request and response are two of them, with the same `RequestId`."""
    for r in requests(12, seed=23):
        base = {"RequestId": r["request_id"], "ServingDeploymentName": "fraud", "Namespace": "models", "ModelName": "classifier",
                "@timestamp": iso(r["at"])}
        yield text({**base, "ce-type": "io.seldon.serving.inference.request",
                    "request": {"dataType": "tabular", "elements": r["features"], "instance": [r["features"]["amount"], r["features"]["age"]]}})
        yield text({**base, "ce-type": "io.seldon.serving.inference.response",
                    "response": {"names": ["proba"], "elements": {"proba": r["score"]}, "instance": [r["score"]]}})


def torchserve():
    """log4j2's ECS layout, as TorchServe's `log4j2.xml` may ask for it: the handler's JSON is a text of `message`."""
    for r in requests(16, seed=24):
        base = {"@timestamp": iso(r["at"]), "ecs.version": "1.2.0", "log.level": "INFO", "process.thread.name": "W-9000-fraud_3.2.1-stdout"}
        yield text({**base, "message": f"PredictionTime.Milliseconds:{r['latency_ms']}|#ModelName:fraud,Level:Model|#type:GAUGE|#hostname:gpu-7",
                    "log.logger": "MODEL_METRICS"})
        yield text({**base, "message": text({"request_id": r["request_id"], "prediction": r["prediction"], "confidence": r["confidence"]}),
                    "log.logger": "MODEL_LOG"})
        if r["n"] % 8 == 7:
            yield f"{r['at']:%Y-%m-%dT%H:%M:%S},{r['at'].microsecond // 1000:03} [INFO ] W-9000-fraud_3.2.1 ACCESS_LOG - /10.0.0.9:43210 \"POST /predictions/fraud HTTP/1.1\" 200 {r['latency_ms']:.0f}"


def triton():
    """A trace file is one array. Times are nanoseconds of a clock without a date."""
    traces = []
    for r in requests(20, seed=25):
        start = 1_000_000_000_000 + r["n"] * 1_000_000_000
        traces.append({
            "id": r["n"] + 1, "model_name": "fraud", "model_version": 3, "request_id": r["request_id"],
            "timestamps": [{"name": "REQUEST_START", "ns": start}, {"name": "REQUEST_END", "ns": start + int(r["latency_ms"] * 1_000_000)}],
        })
    yield "[" + ",\n".join(text(trace) for trace in traces) + "]"


def sglang():
    """`--log-requests --log-requests-format json`: local time without a zone, request and end in two lines."""
    for r in requests(12, seed=26):
        prompt = f"Write to {r['email']} that {r['features']['amount']} was paid."
        yield text({"timestamp": r["at"].strftime("%Y-%m-%dT%H:%M:%S.%f"), "event": "request.received", "rid": r["request_id"],
                    "obj": {"text": prompt, "sampling_params": {"max_new_tokens": 64, "temperature": 0.2}, "stream": False}})
        if r["n"] == 5:
            yield "[2026-11-23 10:00:05] Prefill batch, #new-seq: 1, #new-token: 13, #cached-token: 0, token usage: 0.00, #running-req: 0"
        done = r["at"] + timedelta(milliseconds=r["latency_ms"])
        yield text({"timestamp": done.strftime("%Y-%m-%dT%H:%M:%S.%f"), "event": "request.finished", "rid": r["request_id"],
                    "obj": {"text": prompt},
                    "out": {"text": "Dear Sir or Madam", "meta_info": {"id": r["request_id"], "finish_reason": {"type": "stop", "matched": 2},
                            "prompt_tokens": 13, "completion_tokens": 4 + r["n"], "cached_tokens": 0, "e2e_latency": r["latency_ms"] / 1000}}})


def tgi():
    """`text-generation-launcher --json-output`: durations are texts with their unit."""
    for r in requests(20, seed=27):
        total = f"{r['latency_ms']}ms" if r["n"] % 3 else f"{r['latency_ms'] / 1000:.9f}s".rstrip("0")
        span = {
            "compute_characters": 40, "compute_type": "1-nvidia-l4", "inference_time": f'{r["latency_ms"]}ms',
            "parameters": "GenerateParameters { best_of: None, temperature: Some(0.2), max_new_tokens: Some(64) }",
            "queue_time": "48.041µs", "seed": "None", "time_per_token": "2.1ms", "total_time": total,
            "validation_time": "681.3µs", "name": "generate",
        }
        yield text({"timestamp": r["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": "INFO", "message": "Success",
                    "target": "text_generation_router::server", "filename": "router/src/server.rs", "line_number": 402,
                    "span": span, "spans": [span]})
        if r["n"] == 6:
            yield text({"timestamp": r["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": "ERROR",
                        "message": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2048",
                        "target": "text_generation_router::infer", "filename": "router/src/infer.rs", "line_number": 84})


def databricks():
    """Rows of an inference table, exported as JSON lines: request and response are texts."""
    for r in requests(24, seed=28):
        failed = r["n"] == 10
        yield text({
            "databricks_request_id": r["request_id"], "client_request_id": None, "date": "2026-11-23",
            "timestamp_ms": int(r["at"].timestamp() * 1000), "status_code": 400 if failed else 200, "execution_time_ms": int(r["latency_ms"]),
            "request": text({"dataframe_records": [r["features"]]}),
            "response": text({"error_code": "BAD_REQUEST"} if failed else {"predictions": [r["score"]]}),
            "sampling_fraction": 1.0,
            "request_metadata": {"model_name": "fraud", "model_version": "3", "endpoint_name": "fraud"},
        })


def open_inference_v2():
    """A gateway's log of the protocol's bodies."""
    for r in requests(20, seed=29):
        yield text({
            "time": iso(r["at"]), "id": r["request_id"], "model_name": "fraud", "model_version": "3", "took_ms": r["latency_ms"], "status": 200,
            "request": {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [r["features"]["amount"], r["features"]["age"]]}]},
            "response": {"outputs": [
                {"name": "label", "shape": [1], "datatype": "BYTES", "data": [r["prediction"]]},
                {"name": "probability", "shape": [1], "datatype": "FP64", "data": [r["confidence"]]},
            ]},
        })


def model_record(r, **more):
    return text({"event": "inference", "timestamp": iso(r["at"]), "request_id": r["request_id"], "latency_ms": r["latency_ms"],
                 "status": "success", **more})


def regression():
    for r in requests(24, seed=30):
        price = float("nan") if r["n"] == 7 else round(200_000 + r["score"] * 300_000, 2)
        yield model_record(r, model_version="price-2.0", features=r["features"], prediction=price, interval=[180_000, 620_000])


def top_k():
    chance = random.Random(31)
    labels = ["tabby", "lynx", "beagle", "collie", "finch"]
    for r in requests(20, seed=31):
        first = round(chance.uniform(0.4, 0.9), 3)
        scores = [first, *[round((1 - first) / 4, 4)] * 4]
        chance.shuffle(labels)
        top = [{"label": label, "score": score} for label, score in zip(labels, scores)]
        yield model_record(r, model_version="animals-5", results=top, image="s3://images/redacted.jpg")


def multilabel():
    labels = ["toxic", "insult", "threat", "spam"]
    for r in requests(20, seed=32):
        scores = {label: round(abs((r["score"] * (n + 1)) % 1), 3) for n, label in enumerate(labels)}
        yield model_record(r, model_version="comments-3", text=f"comment {r['n']} of {r['email']}",
                           prediction=[label for label, score in scores.items() if score >= 0.5], scores=scores)


def vectors():
    chance = random.Random(33)
    for r in requests(4, seed=33):
        yield model_record(r, model_version="embed-1", dimensions=768, embedding=[round(chance.gauss(0, 0.05), 5) for _ in range(768)])


def wide():
    chance = random.Random(34)
    for r in requests(3, seed=34):
        yield model_record(r, model_version="wide-1", prediction=r["prediction"], confidence=r["confidence"],
                           features={f"f{n:04}": round(chance.random(), 3) for n in range(2000)})


def llm():
    for r in requests(20, seed=35):
        cut = r["n"] == 8
        line = model_record(r, model_version="assistant-7b", user={"id": f"u{r['n']}", "email": r["email"]},
                            prompt=f"I am user {r['n']}, my address is {r['email']}. Is my order of {r['features']['amount']} on its way?",
                            response="Yes. It arrives on Thursday." * (1 + r["n"] % 3),
                            usage={"prompt_tokens": 31, "completion_tokens": 7 * (1 + r["n"] % 3), "total_tokens": 31 + 7 * (1 + r["n"] % 3)},
                            finish_reason="stop")
        yield line[:200] if cut else line


def docker():
    """The `json-file` driver around a structlog server's output; a line of more than 16 KiB comes in pieces."""
    for n, line in enumerate(lines_of("structlog")):
        at = f"2026-11-23T10:00:{n:02}.123456789Z"
        if n == 3:
            yield text({"log": line[:100], "stream": "stdout", "time": at})
            yield text({"log": line[100:] + "\n", "stream": "stdout", "time": at})
        else:
            yield text({"log": line + "\n", "stream": "stdout", "time": at})
    yield text({"log": "INFO:     Shutting down\n", "stream": "stderr", "time": "2026-11-23T10:00:59.000000000Z"})
    # Docker wraps a traceback line by line.
    for line in ["Traceback (most recent call last):", '  File "/srv/serve.py", line 88, in predict', "    out = model(x)",
                 "RuntimeError: CUDA out of memory"]:
        yield text({"log": line + "\n", "stream": "stderr", "time": "2026-11-23T10:00:59.100000000Z"})
    yield text({"log": "INFO:     Finished server process [1]\n", "stream": "stderr", "time": "2026-11-23T10:00:59.200000000Z"})


def cri():
    """A Kubernetes node's file: time, stream, F for a whole line and P for a part of one."""
    for n, line in enumerate(lines_of("structlog")):
        at = f"2026-11-23T10:00:{n:02}.123456789+00:00"
        if n == 3:
            yield f"{at} stdout P {line[:100]}"
            yield f"{at} stdout F {line[100:]}"
        else:
            yield f"{at} stdout F {line}"
    yield "2026-11-23T10:00:59.000000000+00:00 stderr F INFO:     Shutting down"


def lines_of(folder):
    from pathlib import Path

    return (Path(__file__).parent.parent / folder / "log.ndjson").read_text().splitlines()


def utf_16():
    """PowerShell's `>` writes UTF-16 with a mark."""
    for r in requests(20, seed=36):
        yield model_record(r, model_version="städte-1", features=r["features"], prediction="Köln" if r["n"] % 2 else "Łódź", confidence=r["confidence"])


for writer in [sagemaker, azure_ml, kserve, seldon, torchserve, triton, sglang, tgi, databricks, open_inference_v2,
               regression, top_k, multilabel, vectors, wide, llm, docker, cri]:
    write(writer.__name__.replace("_", "-"), writer())

from pathlib import Path  # noqa: E402

folder = Path(__file__).parent.parent / "utf-16"
folder.mkdir(exist_ok=True)
whole = "".join(line + "\r\n" for line in utf_16())
(folder / "log.ndjson").write_bytes(b"\xff\xfe" + whole.encode("utf-16-le"))
