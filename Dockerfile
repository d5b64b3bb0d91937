ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build

# /opt/mlapi never holds pip: one in an environment of its own, left behind with this stage, fills it.
RUN python3 -m venv --without-pip /opt/mlapi && python3 -m venv /opt/pip
ENV PATH=/opt/pip/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_PYTHON=/opt/mlapi/bin/python \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements/runtime.txt requirements/
RUN pip install --require-hashes --no-deps --only-binary :all: -r requirements/runtime.txt

# The libraries' own test suites are a sixth of the image, and nothing imports them.
COPY LICENSE README.md pyproject.toml ./
COPY mlapi mlapi
RUN pip install --no-index --no-deps --no-build-isolation . \
 && pip uninstall --yes flit-core \
 && pip check \
 && find /opt/mlapi -type d -name tests -prune -exec rm -r {} + \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mlapi


FROM ${BASE}

# What installs or compiles goes, from where Debian and from where a Python in /usr/local keeps it; the build
# fails where any of it is left. The standard library is compiled because a read-only root cannot do so later.
RUN set -eu; \
    lib="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"; \
    rm -rf "$lib/ensurepip" /usr/share/python-wheels /usr/bin/pip* /usr/local/bin/pip* /usr/local/bin/wheel; \
    for packages in "$lib/site-packages" /usr/lib/python3/dist-packages; do \
        cd "$packages" 2>/dev/null || continue; \
        rm -rf pip pip-* setuptools* wheel* pkg_resources _distutils_hack distutils-precedence.pth; \
    done; \
    python3 -m compileall -q -x '/tests?/' "$lib"; \
    for tool in pip pip3 wheel cc gcc g++ clang ld make; do \
        if command -v "$tool"; then echo "the base image has $tool; use a slim one" >&2; exit 1; fi; \
    done; \
    for module in ensurepip pip setuptools wheel; do \
        if python3 -c "import $module" 2>/dev/null; then echo "the base image keeps $module" >&2; exit 1; fi; \
    done; \
    install -d -o 65532 -g 65532 /registry

COPY --from=build /opt/mlapi /opt/mlapi
ENV PATH=/opt/mlapi/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MLAPI_BIND=0.0.0.0:8000 \
    MLAPI_REGISTRY=/registry

WORKDIR /
VOLUME /registry
USER 65532:65532
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client, because urllib would ask the proxy that an engine may put into the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; port = int(os.environ['MLAPI_BIND'].rpartition(':')[2]); to = http.client.HTTPConnection('127.0.0.1', port, timeout=4); to.request('GET', '/v2/health/ready'); sys.exit(to.getresponse().status != 200)"]
ENTRYPOINT ["mlapi"]
CMD ["serve"]
