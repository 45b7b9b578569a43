#!/usr/bin/env python3
"""Make model.tar.gz: a logistic regression fitted to made-up customers, as JSON parameters.

Needs Python alone. The same input gives the same bytes each time, so the archive's digest only
changes when the model does. Usage: python3 make_model.py [directory]
"""

import gzip
import io
import json
import math
import random
import sys
import tarfile
from pathlib import Path

FEATURES = ["tenure_months", "monthly_charge", "support_calls", "has_contract"]


def customers(count=600):
    """Rows of features, and whether the customer left. Short tenure and many calls mean leaving."""
    chance = random.Random(7)
    rows, left = [], []
    for _ in range(count):
        tenure, charge = chance.randint(1, 72), round(chance.uniform(15, 120), 2)
        calls, contract = chance.randint(0, 8), chance.randint(0, 1)
        score = 0.4 - 0.05 * tenure + 0.015 * charge + 0.5 * calls - 1.4 * contract
        rows.append([tenure, charge, calls, contract])
        left.append(1 if chance.random() < 1 / (1 + math.exp(-score)) else 0)
    return rows, left


def fit(rows, left, rounds=400, rate=0.5):
    """Gradient descent on standardised features."""
    columns = list(zip(*rows))
    means = [math.fsum(column) / len(rows) for column in columns]
    scales = [math.sqrt(math.fsum((v - m) ** 2 for v in column) / len(rows)) for column, m in zip(columns, means)]
    scaled = [[(v - m) / s for v, m, s in zip(row, means, scales)] for row in rows]
    weights, bias = [0.0] * len(FEATURES), 0.0
    for _ in range(rounds):
        errors = [
            1 / (1 + math.exp(-(bias + sum(w * v for w, v in zip(weights, row))))) - target
            for row, target in zip(scaled, left)
        ]
        bias -= rate * math.fsum(errors) / len(rows)
        for index in range(len(weights)):
            slope = math.fsum(error * row[index] for error, row in zip(errors, scaled)) / len(rows)
            weights[index] -= rate * slope
    return {"features": FEATURES, "means": rounded(means), "scales": rounded(scales),
            "weights": rounded(weights), "bias": round(bias, 4), "threshold": 0.5}


def rounded(values):
    return [round(value, 4) for value in values]


def pack(model):
    content = (json.dumps(model, indent=1) + "\n").encode()
    packed = io.BytesIO()
    # No time stamp and no name in the gzip header: both would change the bytes.
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(
        fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT
    ) as archive:
        entry = tarfile.TarInfo("model.json")
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    target = directory / "model.tar.gz"
    target.write_bytes(pack(fit(*customers())))
    print(target)
