"""Static signs in start scripts and Dockerfile lines: what they tell, and what they leave alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from listings.reports import CheckOutcome
from tests.contract_rows import detects
from tests.image_fixtures import PASS, SKIP, WARN, checks, complaints, image, layered, outcome
from tests.images_by_hand import directory, file, program, symlink
from workers.images.checks.lines import unpinned

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES, STARTERS = ROOT / "samples", ROOT / "listings" / "starter_files"
BASE = [program("bin/sh"), program("usr/bin/env"), program("usr/bin/python3"), directory("opt/program")]


def signs(script: str, name: str = "bin/train") -> dict[str, CheckOutcome]:
    """The outcome of both checks for one start script."""
    found = checks(image(*BASE, program(name, script.encode())))
    return {code: found[code].outcome for code in ("IMAGE-START-INSTALL", "IMAGE-START-NETWORK")}


def python(line: str) -> dict[str, CheckOutcome]:
    return signs(f"#!/usr/bin/env python3\n{line}\n")


def shell(line: str) -> dict[str, CheckOutcome]:
    return signs(f"#!/bin/sh\n{line}\n")


@pytest.mark.parametrize("line", [
    "pip install -r requirements.txt", "python3 -m pip install x", "exec pip3 install x", "apt-get update",
    "apt-get -y install curl", "apk --no-cache add curl", "conda install -y x", "npm ci", "if ! pip install x; then",
])  # fmt: skip
@detects(16, "IMAGE-START-INSTALL")
def test_installing_in_a_shell_script(line: str) -> None:
    assert shell(line)["IMAGE-START-INSTALL"] is WARN


@pytest.mark.parametrize("line", [
    'subprocess.run(["pip", "install", "x"])', 'subprocess.check_call([sys.executable, "-m", "pip", "install", "x"])',
    'os.system("pip install x")', "pip.main(['install'])",
])  # fmt: skip
def test_installing_in_a_python_script(line: str) -> None:
    assert python(line)["IMAGE-START-INSTALL"] is WARN


@pytest.mark.parametrize("line", [
    "# pip install x", "pip list", "echo installed", "pip install --no-index --find-links /wheels x",
    "python3 /opt/program/main.py  # after pip install",
])  # fmt: skip
def test_what_installs_nothing(line: str) -> None:
    assert shell(line)["IMAGE-START-INSTALL"] is PASS


@pytest.mark.parametrize("line", [
    "curl -fsSL https://example.com/model -o /tmp/model", "wget https://example.com/x", "aws s3 cp s3://a/b .",
    "git clone https://example.com/x", "test -f x || curl https://example.com", "huggingface-cli download x",
    "x=$(curl -s https://example.com)",
])  # fmt: skip
def test_calling_out_in_a_shell_script(line: str) -> None:
    assert shell(line)["IMAGE-START-NETWORK"] is WARN


@pytest.mark.parametrize("line", [
    "until curl -s http://localhost:8080/ping; do sleep 1; done", "wget -q http://127.0.0.1:8080/ping",
    "# curl https://example.com", "echo use curl to test", "git --version", "gitlab-ci", "curly",
])  # fmt: skip
def test_what_stays_inside(line: str) -> None:
    assert shell(line)["IMAGE-START-NETWORK"] is PASS


@pytest.mark.parametrize("line", [
    's3 = boto3.client("s3")', "boto3.resource('s3')", 'requests.get("https://example.com")',
    'requests.get(f"https://example.com/{x}")', 'urllib.request.urlopen("http://example.com")',
    'model = AutoModel.from_pretrained("bert-base-uncased")', "AutoModel.from_pretrained(\n    'bert-base-uncased',\n)",
    'pipeline("fill-mask", model="bert-base-uncased")', 'SentenceTransformer("all-MiniLM-L6-v2")',
    'nltk.download("punkt")', 'torch.hub.load("pytorch/vision", "resnet18")', "hf_hub_download(repo_id=x)",
    "resnet18(pretrained=True)", 'VGG16(weights="imagenet")', "wandb.init()",
])  # fmt: skip
@detects(16, "IMAGE-START-NETWORK")
def test_calling_out_in_a_python_script(line: str) -> None:
    assert python(line)["IMAGE-START-NETWORK"] is WARN


@pytest.mark.parametrize("line", [
    'AutoModel.from_pretrained("/opt/ml/model")', 'AutoModel.from_pretrained("./model")',
    "AutoModel.from_pretrained(model_dir)", 'AutoModel.from_pretrained("bert", local_files_only=True)',
    '# requests.get("https://example.com")', '"""Like requests.get("https://example.com")."""',
    'requests.get("http://localhost:8080/ping")', "requests.get(url)", "import boto3", "import requests",
    'torch.hub.load("/opt/hub", "x", source="local")', 'x = "pretrained"', "resnet18(weights=None)",
])  # fmt: skip
def test_python_that_stays_inside(line: str) -> None:
    assert python(line) == {"IMAGE-START-INSTALL": PASS, "IMAGE-START-NETWORK": PASS}


def test_sign_comes_with_file_line_text_and_dockerfile_line() -> None:
    script = b"#!/bin/sh\n# first\nset -e\n  pip install  torch\nexec true\n"
    check = checks(image(*BASE, program("bin/train", script)))["IMAGE-START-INSTALL"]
    assert check.outcome is WARN
    assert (check.evidence[0].text, check.evidence[0].label) == ("/bin/train:4: pip install torch", "COPY . /")
    assert check.params == {"count": "1", "place": "/bin/train:4"}


def test_credentials_in_a_line_are_not_shown() -> None:
    script = b"#!/bin/sh\ncurl https://user:verysecret@example.com/x\n"
    check = checks(image(*BASE, program("bin/train", script)))["IMAGE-START-NETWORK"]
    assert "verysecret" not in check.evidence[0].text


@pytest.mark.parametrize("start", [
    b"#!/bin/sh\nexec python3 /opt/program/main.py\n", b"#!/bin/sh\ncd /opt/program\nexec python3 main.py \"$@\"\n",
    b"#!/bin/sh\ncd /opt/program && python3 -m main\n",
    b'#!/usr/bin/env python3\nos.chdir("/opt/program")\nos.execvp("gunicorn", ["gunicorn", "main:app"])\n',
    b"#!/usr/bin/env python3\nimport sys\nsys.path.insert(0, '/opt/program')\nimport main\n",
    b"#!/usr/bin/env python3\nsys.path.append('/opt/program')\nfrom main import run\n",
])  # fmt: skip
def test_files_behind_the_start_script_are_read(start: bytes) -> None:
    made = image(*BASE, program("bin/train", start), file("opt/program/main.py", b'nltk.download("punkt")\n'))
    check = checks(made)["IMAGE-START-NETWORK"]
    assert [evidence.text for evidence in check.evidence] == ['/opt/program/main.py:1: nltk.download("punkt")']


def test_local_imports_are_followed_and_packages_of_others_are_not() -> None:
    made = image(
        *BASE, file("app/main.py", b"import helpers\nfrom pack.part import x\nfrom transformers import y\n"),
        file("app/helpers.py", b"boto3.client('s3')\n"), file("app/pack/__init__.py"),
        file("app/pack/part.py", b"from . import deep\n"), file("app/pack/deep.py", b"wandb.init()\n"),
        file("usr/lib/python3/dist-packages/transformers.py", b"requests.get('https://example.com')\n"),
        Entrypoint=["python3", "main.py"], WorkingDir="/app",
    )  # fmt: skip
    texts = [evidence.text for evidence in checks(made)["IMAGE-START-NETWORK"].evidence]
    assert texts == ["/app/helpers.py:1: boto3.client('s3')", "/app/pack/deep.py:1: wandb.init()"]


def test_file_of_an_upper_layer_is_the_one_that_is_read() -> None:
    start = program("bin/train", b"#!/bin/sh\nexec python3 /opt/program/main.py\n")
    lower, upper = file("opt/program/main.py", b"wandb.init()\n"), file("opt/program/main.py", b"pass\n")
    assert outcome(layered([[*BASE, start, lower], []], ["COPY a", "RUN x"]), "IMAGE-START-NETWORK") is WARN
    assert outcome(layered([[*BASE, start, lower], [upper]], ["COPY a", "COPY b"]), "IMAGE-START-NETWORK") is PASS
    gone = file("opt/program/.wh.main.py")
    assert outcome(layered([[*BASE, start, lower], [gone]], ["COPY a", "RUN rm"]), "IMAGE-START-NETWORK") is PASS


def test_programs_without_text_say_nothing() -> None:
    check = checks(image(program("bin/train")))["IMAGE-START-NETWORK"]
    assert (check.outcome, check.evidence[0].text) == (
        SKIP, "The start programs are no scripts whose text could be read.",
    )  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), [
    (b"#!/bin/sh\nexec python main.py\n", WARN), (b"#!/bin/sh\nset -e\npython main.py\n", WARN),
    (b"#!/bin/sh\nexec python3 main.py\n", PASS), (b"#!/bin/sh\nPATH=/opt/bin:$PATH\npython main.py\n", PASS),
    (b"#!/bin/sh\n# python main.py\ntrue\n", PASS),
])  # fmt: skip
@detects(19, "IMAGE-START-PROGRAM")
def test_program_that_the_start_script_calls(script: bytes, expected: CheckOutcome) -> None:
    check = checks(image(*BASE, program("bin/train", script)))["IMAGE-START-PROGRAM"]
    assert check.outcome is expected
    assert check.params["program"] == ("python" if expected is WARN else "")


@pytest.mark.parametrize(("line", "names"), [
    ("RUN pip install flask", ["flask"]), ("RUN pip install flask==3.1.3 torch", ["torch"]),
    ("RUN python3 -m pip install --no-cache-dir 'uvicorn[standard]' gunicorn==1", ["uvicorn[standard]"]),
    ("RUN apt-get update && pip3 install a b && rm -rf x", ["a", "b"]), ("RUN pip install -i https://x/ a", ["a"]),
    ("RUN pip install flask > /tmp/log", ["flask"]), ("RUN pip install flask 2>&1", ["flask"]),
    ("RUN pip install -r requirements.txt", []), ("RUN pip install -c limits.txt flask", []),
    ("RUN pip install . /wheels/a.whl ./x", []), ("RUN pip install 'a>=1' \"b~=2\" c@https://x", []),
    ("RUN pip install --upgrade pip setuptools wheel", []), ("RUN pip install $PACKAGES", []),
    ("RUN pip install a.whl", []), ("RUN pip download a", []),
    ("COPY pip install x", []), ("RUN apt-get install x", []),
])  # fmt: skip
@detects(19, "IMAGE-UNPINNED")
def test_packages_without_a_version(line: str, names: list[str]) -> None:
    assert unpinned(line) == names


def test_unpinned_line_is_shown() -> None:
    made = layered([[program("bin/train")], [file("x")]], ["FROM base", "RUN pip install flask"])
    check = checks(made)["IMAGE-UNPINNED"]
    assert (check.outcome, check.params["package"], check.evidence[0].label) == (WARN, "flask", "RUN pip install flask")


@pytest.mark.parametrize("sample", ["decision-trees", "churn-predictor"])
def test_samples_raise_nothing(sample: str) -> None:
    source = SAMPLES / sample
    programs = [name for name in ("train", "serve") if (source / name).exists()]
    lines = [line for line in (source / "Dockerfile").read_text().splitlines() if line[:4] in ("RUN ", "COPY")]
    files = [
        *BASE, symlink("usr/bin/gunicorn", "python3"),
        *(program(f"usr/local/bin/{name}", (source / name).read_bytes()) for name in programs),
        file("opt/program/predictor.py", (source / "predictor.py").read_bytes()),
    ]  # fmt: skip
    made = layered([files, *([] for _ in lines)], ["FROM base", *lines], WorkingDir="/opt/program")
    assert complaints(made, train="train" in programs, serve=True) == []
    read = [evidence.text for evidence in checks(made, train=False, serve=True)["IMAGE-START-NETWORK"].evidence]
    assert read == ["/usr/local/bin/serve", "/opt/program/predictor.py"]


@pytest.mark.parametrize("starter", ["algorithm", "model_package"])
def test_starters_raise_nothing(starter: str) -> None:
    source = STARTERS / starter
    commands = [name for name in ("train", "serve") if (source / name).exists()]
    programs = [program(f"usr/local/bin/{name}", (source / name).read_bytes()) for name in commands]
    lines = [line for line in (source / "Dockerfile").read_text().splitlines() if line[:4] in ("RUN ", "COPY")]
    made = layered([[*BASE, *programs], *([] for _ in lines)], ["FROM base", *lines])
    assert complaints(made, train="train" in commands, serve=True) == []


def test_hostile_scripts_are_bounded() -> None:
    text = "#!/usr/bin/env python3\n" + "import a, b\n" * 2000 + "x = '" + "(" * 20_000 + "\npip " * 2000
    made = image(*BASE, program("bin/train", text.encode()[:60_000]), file("bin/a.py", b"import train\nimport b\n"))
    assert checks(made)["IMAGE-START-NETWORK"].outcome is PASS


@pytest.mark.parametrize("text", [
    " " * 60_000, "from" + " " * 60_000, "import " + "a," * 30_000, "a.py " * 12_000, "a." * 30_000 + "py",
    "x:y " * 15_000, "/opt/program " * 4_000, "boto3" + " " * 60_000, "from_pretrained(" * 4_000, "pip " * 15_000,
    "secret_access_key" + " " * 60_000, "\n" * 60_000, "'" * 60_000, "(" * 60_000, "git -" + "a" * 60_000,
    "-----BEGIN " + "A " * 30_000, "pipeline(" * 6_000, "https://" + "a" * 60_000,
])  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    before = time.process_time()
    for head in ("#!/usr/bin/env python3\n", "#!/bin/sh\n"):
        checks(image(*BASE, program("bin/train", (head + text).encode())))
    checks(image(*BASE, file("root/.netrc", text.encode()), file("root/.pypirc", text.encode()), Env=[f"TOKEN={text}"]))
    assert time.process_time() - before < 5
