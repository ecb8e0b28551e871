"""Requests as an application would send them to model servers: mostly good ones, some that the model refuses.

    python traffic.py [--per-second N] [--requests N] URL...

Each request goes to the next server. Without --requests it goes on until it is stopped. A server that does not answer is
asked again later.
"""

import argparse
import json
import random
import time
import urllib.error
import urllib.request

COUNTRIES = ["AT", "CH", "DE", "DE", "DE", "ES", "FR", "FR", "GB", "US"]


def features(chance: random.Random) -> dict:
    """What a payment looks like; one in a hundred has an hour in quotes, which the model fails on, or no amount."""
    payment = {
        "amount": round(chance.lognormvariate(4.2, 1.1), 2),
        "country": chance.choice(COUNTRIES),
        "hour": min(23, max(0, round(chance.gauss(14, 5)))),
        "email": f"customer{chance.randrange(10_000)}@example.com",
    }
    if chance.random() < 0.005:
        payment["hour"] = str(payment["hour"])
    if chance.random() < 0.005:
        del payment["amount"]
    return payment


def send(url: str, payment: dict) -> bool:
    """Whether there was an answer, of whatever kind."""
    body = json.dumps({"features": payment}).encode()
    request = urllib.request.Request(f"{url}/predict", body, {"content-type": "application/json"})
    # Model servers are beside this, whatever the environment says of proxies.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=10).read()
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", metavar="URL", nargs="+")
    parser.add_argument("--per-second", type=float, default=20)
    parser.add_argument("--requests", type=int, help="then end; exit 1 if one was not answered")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    sent = unanswered = 0
    while arguments.requests is None or sent < arguments.requests:
        unanswered += not send(arguments.urls[sent % len(arguments.urls)], features(chance))
        sent += 1
        time.sleep(chance.expovariate(arguments.per_second))
    if unanswered:
        raise SystemExit(f"{unanswered} of {sent} requests were not answered")


if __name__ == "__main__":
    main()
