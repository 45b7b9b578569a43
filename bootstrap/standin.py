"""The AWS stand-in: started unless an AWS endpoint is named."""

import os

from bootstrap import ports, processes
from bootstrap.home import PYTHON, Home, write_private
from bootstrap.registry import Registry

NAME = "aws-standin"
#: The demo team's bucket (listings/demo.py): account, Region, name.
DEMO_BUCKET = "111122223333:us-east-1:slipway-demo-acme-vision"


def ensure(home: Home, registry: Registry) -> str:
    """The address of the AWS endpoint: the given one, else the stand-in's."""
    given = os.environ.get("SLIPWAY_AWS_ENDPOINT_URL", "")
    if given:
        return given
    running = processes.running_pid(home, NAME)
    port = ports.remembered(home, NAME) if running else ports.pick(home, NAME)
    # The password goes by file: everyone may read a command line.
    password = home.path("secrets", "standin-registry")
    write_private(password, registry.password)
    argv = [PYTHON, "-m", "workers.aws.standin", "--port", port, "--registry", registry.url]
    argv += ["--registry-username", registry.username, "--registry-password-file", password]
    argv += ["--seconds", "1", "--state", home.path("aws-standin", "state"), "--bucket", DEMO_BUCKET]
    program = processes.Program(NAME, [str(part) for part in argv], ready=lambda: ports.answers(port))
    processes.start(home, program)
    return f"http://{ports.LOOPBACK}:{port}"
