"""GET /ping and POST /invocations: customers in, the chance that each one leaves out.

text/csv (four numbers a row) and application/json ({"customers": [{...}]}) are read; the answer is in
whichever of the two the caller accepts, first of all in the type that was sent.
"""

import csv
import io
import json
import os
from pathlib import Path

import numpy
from flask import Flask, Response, request

MODEL = json.loads((Path(os.environ.get("ML_ROOT", "/opt/ml")) / "model/model.json").read_text())
TYPES = ("text/csv", "application/json")

app = Flask(__name__)


@app.get("/ping")
def ping():
    return Response(status=200)


@app.post("/invocations")
def invocations():
    sent = request.mimetype  # without parameters such as "; charset=utf-8"
    if sent not in TYPES:
        return refuse(415, "send text/csv or application/json")
    offered = sorted(TYPES, key=lambda each: each != sent)
    answer = request.accept_mimetypes.best_match(offered) if request.accept_mimetypes else sent
    if answer is None:
        return refuse(406, "this model answers text/csv and application/json")
    try:
        text = request.get_data().decode("utf-8")
        rows = from_csv(text) if sent == "text/csv" else from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        return refuse(400, f"{type(error).__name__}: {error}")
    chances = predict(rows)
    if answer == "text/csv":
        return Response("".join(f"{chance:.4f}\n" for chance in chances), content_type=answer)
    found = [{"probability": round(float(c), 4), "leaves": bool(c >= MODEL["threshold"])} for c in chances]
    return Response(json.dumps({"predictions": found}) + "\n", content_type=answer)


def from_csv(text):
    return checked([[float(value) for value in row] for row in csv.reader(io.StringIO(text)) if row])


def from_json(text):
    return checked([[float(each[name]) for name in MODEL["features"]] for each in json.loads(text)["customers"]])


def checked(rows):
    if not rows:
        raise ValueError("no rows were sent")
    if any(len(row) != len(MODEL["features"]) for row in rows):
        raise ValueError(f"each row needs {len(MODEL['features'])} numbers")
    return rows


def predict(rows):
    scaled = (numpy.array(rows) - MODEL["means"]) / MODEL["scales"]
    return 1 / (1 + numpy.exp(-(scaled @ numpy.array(MODEL["weights"]) + MODEL["bias"])))


def refuse(status, reason):
    return Response(reason + "\n", status=status, content_type="text/plain")
