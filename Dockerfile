# The service, for CPUs: docker build -t nbdt .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v ./models:/models:ro nbdt
#
# torch comes from its CPU index: its wheels on the package index hold CUDA, which is gigabytes
# that a CPU has no use for. For GPUs, build with --build-arg TORCH_INDEX=https://pypi.org/simple.

FROM python:3.12-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv \
    && /venv/bin/pip install --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple torch torchvision
WORKDIR /source
COPY . .
RUN /venv/bin/pip install '.[serve]'

FROM python:3.12-slim
COPY --from=build /venv /venv
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nbdt
USER 10001
# Nothing is written but the numbers that several workers share, to /tmp.
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
