"""GET /ping and POST /invocations: rows of four numbers in, one label a row out, both text/csv."""

import csv
import io
import os
from pathlib import Path

import joblib
from flask import Flask, Response, request

FEATURES = 4
MODEL = joblib.load(Path(os.environ.get("ML_ROOT", "/opt/ml")) / "model/model.joblib")

app = Flask(__name__)


@app.get("/ping")
def ping():
    return Response(status=200)


@app.post("/invocations")
def invocations():
    # ``mimetype`` is the content type without parameters such as "; charset=utf-8".
    if request.mimetype != "text/csv":
        return refuse(415, "send text/csv")
    if request.accept_mimetypes and "text/csv" not in request.accept_mimetypes:
        return refuse(406, "this model answers text/csv")
    try:
        rows = read(request.get_data().decode("utf-8"))
    except ValueError as error:
        return refuse(400, str(error))
    labels = MODEL.predict(rows)
    return Response("".join(f"{label}\n" for label in labels), content_type="text/csv")


def read(text):
    rows = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row:
            continue
        if len(row) != FEATURES:
            raise ValueError(f"line {number}: expected {FEATURES} numbers, found {len(row)}")
        rows.append([float(value) for value in row])
    if not rows:
        raise ValueError("no rows were sent")
    return rows


def refuse(status, reason):
    return Response(reason + "\n", status=status, content_type="text/plain")
