# Build: the lock and nothing else, in an environment that the second stage takes over whole.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STATIC_COLLECTED=true \
    API_SCHEDULER_ENV_FILE=/nonexistent/.env
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin scheduler
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# The keys are for this one command: what it writes doesn't depend on them.
RUN SECRET_KEY=build FIELD_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python manage.py collectstatic --noinput
USER scheduler
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "deploy/check_health.py"]
CMD ["python", "-m", "gunicorn", "--bind", "0.0.0.0:8000", "--worker-tmp-dir", "/dev/shm"]
