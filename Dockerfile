# The page anywhere:  docker build -t smoking . && docker run --rm -p 127.0.0.1:7860:7860 smoking
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 1000 app
WORKDIR /app

# Without OpenCV, which is for cameras on this machine: the page uses the browser's.
COPY constraints.txt requirements-edge.txt requirements-web.txt ./
RUN pip install -c constraints.txt -r requirements-edge.txt -r requirements-web.txt

COPY --chown=1000:1000 edge_app ./edge_app
COPY --chown=1000:1000 models/README.md models/smoking_mobilenetv2_int8.tflite ./models/
COPY --chown=1000:1000 models/evaluation ./models/evaluation
COPY --chown=1000:1000 samples ./samples

USER 1000:1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/', timeout=4)"]

CMD ["python", "-m", "edge_app", "web", "--host", "0.0.0.0"]
