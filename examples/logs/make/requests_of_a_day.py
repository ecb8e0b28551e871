"""What the sample servers were asked and answered: the same every time, invented, about nobody."""

import random
from datetime import datetime, timedelta, timezone

START = datetime(2026, 11, 23, 10, 0, 0, tzinfo=timezone.utc)
COUNTRIES = ["DE", "FR", "IT", "PL"]


def requests(count, seed=7):
    """Dictionaries of heart fields, one a second, with a user's made-up address in some."""
    chance = random.Random(seed)
    for n in range(count):
        score = round(chance.betavariate(5, 2), 4)
        yield {
            "n": n,
            "at": START + timedelta(seconds=n, milliseconds=chance.randrange(1000)),
            "request_id": f"r-{n:04}",
            "features": {
                "amount": round(chance.lognormvariate(3, 1), 2),
                "age": chance.randrange(18, 90),
                "country": chance.choice(COUNTRIES),
            },
            "score": score,
            "prediction": "fraud" if score >= 0.5 else "fine",
            "confidence": max(score, round(1 - score, 4)),
            "latency_ms": round(chance.lognormvariate(2.5, 0.5), 3),
            "email": f"user{n}@example.com",
        }


def write(folder, lines, name="log.ndjson"):
    """Writes the log of a writer's folder."""
    from pathlib import Path

    path = Path(__file__).parent.parent / folder / name
    path.parent.mkdir(exist_ok=True)
    text = "".join(line.rstrip("\n") + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    print(f"{path.parent.name}: {text.count(chr(10))} lines, {len(text.encode())} bytes")
