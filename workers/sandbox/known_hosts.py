"""Places that containers often call, and what to do instead. A table, first match wins."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True, slots=True)
class Known:
    """``places``: patterns of host names, or addresses. ``what``: named in the evidence. ``patch``: lines to copy."""

    places: tuple[str, ...]
    what: str
    remedy: str
    patch: str = ""


KNOWN = (
    Known(
        ("169.254.169.254", "fd00:ec2::254", "*.ec2.internal"),
        "instance metadata",
        "An AWS SDK looks for credentials there. A Marketplace container has none: read from /opt/ml only, and make no "
        "boto3 client or session at start.",
        "ENV AWS_EC2_METADATA_DISABLED=true",
    ),
    Known(
        ("169.254.170.2", "169.254.170.23", "fd00:ec2::23"),
        "ECS credentials",
        "An AWS SDK looks for a role's credentials there. A Marketplace container has none: make no boto3 client or "
        "session at start.",
        "ENV AWS_EC2_METADATA_DISABLED=true",
    ),
    Known(
        ("huggingface.co", "*.huggingface.co", "*.hf.co", "hf.co"),
        "Hugging Face",
        "Download the model while the image is built, or put it into the model archive; load it by its local path.",
        "ENV HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1",
    ),
    Known(
        ("pypi.*", "*.pypi.*", "*.pythonhosted.*"),
        "Python packages",
        "Install packages while the image is built, not when it starts.",
        "RUN pip install --no-cache-dir -r requirements.txt",
    ),
    Known(
        ("conda.anaconda.org", "repo.anaconda.com"),
        "Conda packages",
        "Install packages while the image is built, not when it starts.",
        "RUN conda install --yes --file requirements.txt",
    ),
    Known(
        ("*.debian.org", "*.ubuntu.com", "dl-cdn.alpinelinux.org"),
        "system packages",
        "Install system packages while the image is built, not when it starts.",
        "RUN apt-get update && apt-get install -y --no-install-recommends PACKAGE && rm -rf /var/lib/apt/lists/*",
    ),
    Known(
        ("raw.githubusercontent.com", "github.com", "*.github.com", "codeload.github.com"),
        "GitHub",
        "Copy what is fetched from there into the image. NLTK, torch.hub and spaCy fetch data from GitHub on first "
        "use: download it while the image is built, and set NLTK_DATA or TORCH_HOME to its place.",
        "RUN python -m nltk.downloader -d /usr/share/nltk_data punkt\nENV NLTK_DATA=/usr/share/nltk_data",
    ),
    Known(
        ("download.pytorch.org",),
        "PyTorch weights",
        "Download pretrained weights while the image is built.",
        "ENV TORCH_HOME=/opt/torch",
    ),
    Known(
        ("storage.googleapis.com", "tfhub.dev", "*.kaggle.com"),
        "TensorFlow weights or data",
        "Download pretrained weights while the image is built.",
        "ENV TFHUB_CACHE_DIR=/opt/tfhub KERAS_HOME=/opt/keras",
    ),
    Known(
        ("sentry.io", "*.sentry.io"),
        "error reports",
        "Leave the DSN empty in the Marketplace image; Sentry then sends nothing.",
        'ENV SENTRY_DSN=""',
    ),
    Known(
        ("api.wandb.ai", "*.wandb.ai"),
        "experiment tracking",
        "Switch it off; metrics go to the log, where SageMaker reads them.",
        "ENV WANDB_MODE=disabled",
    ),
    Known(
        ("app.posthog.com", "*.posthog.com", "*.segment.io", "*.datadoghq.com", "*.newrelic.com",
         "*telemetry*", "*analytics*"),
        "telemetry",
        "Switch telemetry off by its own setting.",
        "ENV DO_NOT_TRACK=1",
    ),
    Known(
        ("*licen[cs]e*",),
        "a licence check",
        "Check a licence without the network, by a signed file in the image.",
    ),
    Known(
        ("*.amazonaws.com", "*.amazonaws.com.cn", "*.api.aws"),
        "an AWS API",
        "No API of AWS is reachable and there are no credentials: read input from /opt/ml/input, write results to "
        "/opt/ml/model and /opt/ml/output, and remove calls to S3, STS or CloudWatch.",
    ),
    Known(
        ("*.pool.ntp.org", "time.google.com", "time.aws.com"),
        "time servers",
        "Start no time service; the host keeps the time.",
    ),
)  # fmt: skip


def known(place: str) -> Known | None:
    """What is known about a host name or an address."""
    return next((entry for entry in KNOWN if any(fnmatch(place, pattern) for pattern in entry.places)), None)
