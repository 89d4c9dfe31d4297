# A run over HTTP, without torch. See docs/serving.md.
#
#   docker build -t caser .
#   docker run -v "$PWD/runs/demo:/model:ro" -v store:/store caser token --token-file /store/tokens
#   docker run -p 8000:8000 -v "$PWD/runs/demo:/model:ro" -v store:/store caser
FROM python:3.11-slim

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve]" \
    && useradd --system --uid 10001 caser \
    && install --directory --owner caser /store

USER caser
ENV OMP_WAIT_POLICY=PASSIVE
VOLUME ["/model", "/store"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["caser"]
CMD ["serve", "/model", "--host", "0.0.0.0", "--store", "/store/events.db", "--token-file", "/store/tokens"]
