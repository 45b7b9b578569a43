"""Trains carefully, but for the faults that its hyperparameter ``faults`` names."""
import json, os, pathlib, signal, sys, time

ml = pathlib.Path("/opt/ml")
config = ml / "input" / "config"
data = ml / "input" / "data"
given = json.loads((config / "hyperparameters.json").read_text())
channels = json.loads((config / "inputdataconfig.json").read_text())
faults = given.get("faults", "").split()


def stop(*_):
    print("stopped")
    if (ml / "checkpoints").is_dir():
        (ml / "checkpoints" / "state").write_text("half")
    sys.exit(143 if "saves" not in faults else 0)


if "deaf" in faults:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
elif "runs-on" not in faults:  # process 1 has no handler unless it installs one
    signal.signal(signal.SIGTERM, stop)


def check():
    known = {"epochs", "rate", "faults", "label"}
    if "strict" in faults and (unknown := set(given) - known):
        raise SystemExit(f"unrecognized arguments: {unknown}")
    if "greedy" in faults:
        return 1
    if "label" not in given:
        raise ValueError("label is missing")
    epochs, rate = int(given["epochs"]), float(given["rate"])
    if not 1 <= epochs <= 10 or not 0 <= rate <= 1:
        raise ValueError(f"epochs={epochs} or rate={rate} is out of range")
    return epochs


def stream(name):
    """One epoch of a channel, in whichever mode it comes."""
    if channels[name]["TrainingInputMode"] != "Pipe" or "files-only" in faults:
        return "".join(path.read_text() for path in sorted((data / name).iterdir()))
    return stream_pipe(name)


if "shell" in faults:
    os.execvp("sh", ["sh", "-c", given["label"]])
epoch_of = dict.fromkeys(channels, 0)


def stream_pipe(name):
    path = data / f"{name}_{epoch_of[name]}"
    epoch_of[name] += 1
    with path.open() as pipe:
        return pipe.read()


def train():
    epochs = check()
    print("channels", {name: each["TrainingInputMode"] for name, each in channels.items()})
    print("data", sorted(os.listdir(data)), "checkpoints", (ml / "checkpoints").exists())
    if "scratch" in faults:
        (data / "train" / "scratch").write_text("x")
        (data / "train" / "scratch").unlink()
    if channels["train"]["TrainingInputMode"] == "FastFile":
        try:
            (data / "train" / "x").write_text("x")
        except OSError as error:
            print("read-only:", error.strerror)
    for epoch in range(epochs):
        numbers = [float(text) for text in stream("train").split()]
        if not numbers and "empty-crash" in faults:
            os._exit(1)
        if not numbers:
            raise ValueError("the channel train is empty")
        print("sum", sum(numbers))
        loss = "nan" if "nan" in faults else f"{1 / (epoch + 1):.3f}"
        if "no-metric" not in faults:
            print(f"epoch={epoch} loss={loss}")
        for _ in range(15 if "slow" in faults else 0):
            time.sleep(0.1)
    if "half" not in faults:
        print("test", stream("test").strip())
    (ml / "output" / "data" / "report.txt").write_text("fine")
    (ml / "model" / "weights").write_text("1")
    if "links" in faults:
        (ml / "model" / "passwd").symlink_to("/etc/passwd")


try:
    train()
except Exception as error:
    if "mute" not in faults:
        (ml / "output" / "failure").write_text(f"{type(error).__name__}: {error}")
    raise
