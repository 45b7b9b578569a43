"""What hostile images do when they train, as lines of a shell, and the code that each run must end with."""

from __future__ import annotations

from tests.pipeline import packed

ODD_FILES = (
    "keep; cd /opt/ml/model; mknod c c 1 5; mknod b b 8 0; mkfifo p; ln -s /etc/passwd out; ln m hard; "
    "mkdir d; echo x > d/f; chmod 6000 d/f; chown 12345:54321 d/f d; chmod 0 d; echo > $(printf '%0255d' 0); "
    "echo > \"$(printf 'new\\nline')\"; echo > \"$(printf '\\377 \\033[31m')\""
)
NOISE = (
    "keep; printf '\\377\\000\\355\\240\\200\\n\\r10%%\\r20%%\\r\\n\\033[2J\\033[31mred\\033[0m\\n'; "
    "printf 'last\\342\\200\\256'; sleep 60 & sleep 60 & kill -9 -1"
)
#: A mode's name, its lines, and the code of its problem; "" where it passes.
DEEDS: tuple[tuple[str, str, str], ...] = (
    ("fork", "sh -c 'bomb() { bomb | bomb & }; bomb' & i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done; exit 1",
     "TEST-PROCESSES"),
    ("memory", "exec dd if=/dev/zero of=/dev/null bs=512M count=1", "TEST-MEMORY"),
    ("memory-of-a-child", "dd if=/dev/zero of=/dev/null bs=512M count=1; echo $?; keep", ""),
    ("disk", "exec dd if=/dev/zero of=/opt/ml/model/big bs=1M", "TEST-DISK"),
    ("layer", "exec dd if=/dev/zero of=/big bs=1M", "TEST-DISK"),
    ("volume", "exec dd if=/dev/zero of=/own/big bs=1M", "TEST-DISK"),
    ("deleted-file", "exec 3>/tmp/gone; rm /tmp/gone; dd if=/dev/zero bs=1M count=200 >&3; keep", ""),
    ("files", "i=0; while :; do : > /opt/ml/model/$i; i=$((i+1)); done", "TEST-DISK"),
    ("files-of-the-layer", "mkdir /many; i=0; while :; do : > /many/$i; i=$((i+1)); done", "TEST-DISK"),
    ("sparse", "truncate -s 1024G /opt/ml/model/huge", "TEST-DISK"),
    ("deep", "d=$(printf '%0250d' 0); cd /opt/ml/model; for i in $(seq 60); do mkdir $d; cd $d; done; sleep 60",
     "TEST-DISK"),
    ("log", "keep; l=$(printf '%04000d' 0); yes $l | head -c 20000000; yes | tr -d '\\n' | head -c 1000000000", ""),
    ("empty-lines", "keep; yes '' | head -c 300000", ""),
    ("deaf", "trap '' HUP INT QUIT TERM; while :; do sleep 1; done", "TEST-TRAIN-TIMEOUT"),
    ("odd-files", ODD_FILES, ""),
    ("model-is-a-link", "rmdir /opt/ml/model; ln -s /etc /opt/ml/model", "TEST-TRAIN-MODEL"),
    ("model-is-gone", "rmdir /opt/ml/model", "TEST-TRAIN-MODEL"),
    ("failure-is-a-pipe", "mkfifo /opt/ml/output/failure; exit 3", "TEST-TRAIN-EXIT"),
    ("failure-is-odd", "printf 'why\\000 \\377\\355\\240\\200' > /opt/ml/output/failure; exit 3", "TEST-TRAIN-EXIT"),
    ("noise", NOISE, ""),
    ("crash", "kill -SEGV $$; sh -c 'kill -SEGV $$'; exit 139", "TEST-TRAIN-EXIT"),
)  # fmt: skip

DOCKERFILE = """\
FROM slipway.local/busybox:1
COPY train /bin/train
VOLUME ["/own"]
"""
HEAD = """\
#!/bin/sh
keep() { echo learned > /opt/ml/model/m; }
mode=$(sed -n 's/.*"mode": "\\(.*\\)".*/\\1/p' /opt/ml/input/config/hyperparameters.json)
echo "mode $mode"
case "$mode" in
"""
SPEC = """\
slipway: 1
kind: Algorithm
training:
  SupportedTrainingInstanceTypes: [ml.m5.large]
  SupportedHyperParameters: [{{Name: mode, Type: FreeText}}]
  TrainingChannels:
    - {{Name: train, SupportedContentTypes: [text/csv], SupportedInputModes: [File]}}
tests:
  training:
    instance_type: ml.m5.large
    timeout_seconds: {seconds}
    hyperparameters: {{mode: {mode}}}
    channels: {{train: {{path: train.csv, content_type: text/csv}}}}
"""


def source(mode: str) -> bytes:
    """A build context of the one image, told to do this deed."""
    cases = "".join(f"{name}) {lines} ;;\n" for name, lines, _ in DEEDS)
    spec = SPEC.format(mode=mode, seconds=10 if mode == "deaf" else 400)
    files = {"Dockerfile": DOCKERFILE, "train": f"{HEAD}{cases}esac\n", "slipway.yaml": spec, "train.csv": "1,2\n"}
    return packed(files)
