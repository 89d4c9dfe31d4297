# A run over HTTP, without torch. See docs/serving.md.
#
#   docker build -t caser .
#   docker run -v "$PWD/runs/demo:/model:ro" -v store:/store caser token --token-file /store/tokens
#   docker run -p 8000:8000 -v "$PWD/runs/demo:/model:ro" -v store:/store caser
#
# Every package comes by its hash (constraints.txt), and the base image by its digest (python:3.11.16-slim). To take a
# newer base: `docker buildx imagetools inspect python:3.11-slim` prints its digest; write it here, or pass it with
# `--build-arg BASE=python:3.11-slim@sha256:...`.
ARG BASE=python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

# What builds the project stays out of the image: only the wheel and the list of packages go on.
FROM ${BASE} AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tools/pins.py tools/pins.py
RUN python tools/pins.py serve postgres > serve.txt \
    && python tools/pins.py build > build.txt \
    && pip install --no-cache-dir --require-hashes --no-deps --requirement build.txt
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels .

FROM ${BASE}
WORKDIR /app
COPY --from=build /build/serve.txt /build/wheels ./
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement serve.txt \
    && pip install --no-cache-dir --no-deps caser-*.whl \
    && rm serve.txt caser-*.whl \
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
