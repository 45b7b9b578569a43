# Slipway's images. `docker-compose build` makes them; docs/operations.md says how they are run.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# What the rooms of builds and the holders of tests are made of: a shell, ip and Python, and nothing of Slipway's.
FROM ${BASE_IMAGE} AS tools
ARG IMAGE_NAME=slipway
# Also on what is made of this image: what an upgrade leaves behind is found by it.
LABEL slipway.compose=${IMAGE_NAME}
COPY deploy/packages /usr/local/sbin/slipway-packages
RUN slipway-packages ip=iproute2

# uv installs the locked packages. Another index than the public one is named by build arguments; this is not shipped.
FROM tools AS installer
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /build
COPY bootstrap/locks/ bootstrap/locks/
RUN python3 -m pip install --quiet --no-cache-dir --require-hashes --target /uv -r bootstrap/locks/uv.txt
COPY deploy/python-packages /usr/local/bin/

FROM installer AS packages
COPY requirements.txt ./
RUN python-packages /opt/slipway requirements.txt

# The front-end files, by npm from its lock; Node.js itself comes from a locked wheel.
FROM installer AS assets
ARG NPM_CONFIG_REGISTRY
RUN python-packages /node bootstrap/locks/node.txt
COPY package.json package-lock.json ./
COPY bootstrap/ bootstrap/
RUN if [ -f /etc/ssl/certs/ca-certificates.crt ]; then \
        export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; \
    fi; \
    PATH="/node/bin:$PATH" python3 -c "from bootstrap import assets; assets.ensure()"

# The product: portal, workers and clock.
FROM tools AS slipway
RUN slipway-packages skopeo=skopeo git=git git-lfs=git-lfs ssh=openssh-client
RUN echo 'slipway:x:10001:10001:Slipway:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'slipway:x:10001:' >> /etc/group \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d -o 10001 -g 10001 -m 0755 /registry-auth
COPY --from=packages /opt/slipway /opt/slipway
WORKDIR /app
COPY manage.py ./
COPY deploy/ deploy/
COPY listings/ listings/
COPY workers/ workers/
COPY portal/ portal/
COPY --from=assets /build/portal/static/vendor portal/static/vendor/
RUN python3 -m compileall -q /app
ENV PATH=/opt/slipway/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    DJANGO_SETTINGS_MODULE=portal.settings SLIPWAY_DATA_DIR=/data
USER 10001:10001
CMD ["python3", "deploy/web.py"]

# The stand-in for AWS: for trying Slipway out, never for production.
FROM slipway AS standin
USER root
COPY --from=installer /uv /uv
COPY deploy/python-packages /usr/local/bin/
COPY requirements-embedded.txt ./
RUN install -d -o 10001 -g 10001 -m 0700 /state && python-packages /opt/slipway requirements-embedded.txt
USER 10001:10001
CMD ["python3", "deploy/standin.py"]
