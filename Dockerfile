# The Lockgate server. The same image serves every app; all it keeps is in /data.
#
#   docker build -t lockgate-server .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -v lockgate:/data \
#     -p 8080:8080 -p 127.0.0.1:8081:8081 lockgate-server
#
# With nginx and an S3 store: deploy/compose.
#
# For a build that can be repeated, name the base by digest:
#   docker build --build-arg BASE=python@sha256:… -t lockgate-server .
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY requirements-dev.txt .
# uv comes from the same pinned, hashed list that development uses.
RUN python -m venv /opt/uv \
 && sed -n '/^uv==/,/[^\\]$/p' requirements-dev.txt \
  | /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /dev/stdin
COPY release release
COPY server server
# Constraints, not requirements: only what the server needs, at the versions and hashes tested.
RUN python -m venv --without-pip /opt/lockgate \
 && VIRTUAL_ENV=/opt/lockgate /opt/uv/bin/uv pip install --no-cache --compile-bytecode \
    --constraints requirements-dev.txt --build-constraints requirements-dev.txt ./release ./server

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --no-create-home lockgate \
 && install -d -o lockgate -g lockgate -m 0700 /data
COPY --from=build /opt/lockgate /opt/lockgate
ENV PATH=/opt/lockgate/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER lockgate
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
ENTRYPOINT ["lockgate-server"]
CMD ["run", "--data", "/data", "--listen", "0.0.0.0:8080"]
