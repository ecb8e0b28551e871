# The example model server, and what sends it requests.
FROM python:3.13.7-slim-bookworm
WORKDIR /app
COPY examples/model_server/requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY examples/model_server/model.py examples/model_server/server.py docker/traffic.py ./
# A volume that is made new here is that user's, the same one as inferlog's.
RUN mkdir /logs && chown 65532:65532 /logs
USER 65532:65532
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/metrics', timeout=4)"]
CMD ["uvicorn", "server:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
