# The service on CPUs: docker build -t nbdt .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v ./models:/models:ro nbdt
#
# By default pip uses its own index, where torch's wheels for Linux contain CUDA: gigabytes that a CPU
# does not need. PyTorch publishes wheels for CPUs in a separate index. Pass its address as
# --build-arg PIP_INDEX_URL=…, and the address of an index with all other packages as
# --build-arg PIP_EXTRA_INDEX_URL=….

FROM python:3.12-slim AS build
# pip reads both from the environment; unset arguments are absent there.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv && /venv/bin/pip install torch torchvision
WORKDIR /source
COPY . .
RUN /venv/bin/pip install '.[serve]'

FROM python:3.12-slim
COPY --from=build /venv /venv
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nbdt
USER 10001
# The service writes only to /tmp: the metrics that several workers share.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NBDT_HOST=0.0.0.0 \
    NBDT_PORT=8000 \
    NBDT_MODELS=/models \
    NBDT_DRAIN=5
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=15s --timeout=5s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['NBDT_PORT'] + '/livez', timeout=4)"]
ENTRYPOINT ["nbdt", "serve"]
