"""Writes log lines with random features, and the hashes that the Python of docs/hashing.md makes of them.

    hash_features.py RECORDS < docs/hashing.md

A line of JSON each: `{"line": …, "expected": {"input_hash": …, "input_hmac": {KEY: …}, "salted_hash": …, "written_hash": …}}`.
"""

import json
import random
import re
import struct
import sys

KEYS = ["the new one", "the old one"]
SALT = "a salt"

FLOATS = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308, 1e21, 1e-7,
          1e16, 1e23, 123456789012345680000.0, 0.1 + 0.2, 1.0, -1.5, 1e-6, 9007199254740993.0]
WHOLES = [0, 1, -1, 2**53, 2**53 + 1, 2**63, -(2**63), 10**25]
# First and last characters; the last two lie on the two sides of where UTF-16 and code points sort otherwise.
CHARACTERS = [(0x00, 0x1f), (0x20, 0x7e), (0x7f, 0xff), (0x2026, 0x2029), (0xe000, 0xffff), (0x10000, 0x10ffff)]

chance = random.Random(8785)


def text():
    bounds = (chance.choice(CHARACTERS) for _ in range(chance.randrange(6)))
    return "".join(chr(chance.randint(*pair)) for pair in bounds)


def number():
    kind = chance.randrange(4)
    if kind == 0:
        return chance.choice(FLOATS)
    if kind == 1:
        return chance.choice(WHOLES)
    if kind == 2:
        return chance.randint(-10**6, 10**6) / 100
    bits = struct.unpack("<d", chance.randbytes(8))[0]
    return bits if abs(bits) < float("inf") else 1.0


def value(depth):
    kind = chance.randrange(8 if depth < 4 else 6)
    if kind < 3:
        return number()
    if kind < 5:
        return text()
    if kind == 5:
        return chance.choice([True, False, None])
    if kind == 6:
        return [value(depth + 1) for _ in range(chance.randrange(4))]
    return features(depth + 1)


def features(depth):
    return {text(): value(depth) for _ in range(chance.randrange(6))}


def sorts_alike(found):
    """Whether no name has a character that Python, which sorts by code points, sorts otherwise than UTF-16."""
    if isinstance(found, list):
        return all(map(sorts_alike, found))
    if isinstance(found, dict):
        return all(ord(c) < 0xe000 for name in found for c in name) and all(map(sorts_alike, found.values()))
    return True


def main():
    blocks = [compile(block, "docs/hashing.md", "exec") for block in re.findall(r"```python\n(.*?)```", sys.stdin.read(), re.S)]
    for n in range(int(sys.argv[1])):
        record = {"n": n, "features": features(0)}
        separators = chance.choice([(",", ":"), (", ", ": "), (" ,\t", " :  ")])
        line = json.dumps(record, ensure_ascii=chance.choice([True, False]), separators=separators)
        by_key = {}
        for key in KEYS:
            names = {"line": line, "key": key.encode(), "salt": SALT.encode()}
            for block in blocks:
                exec(block, names)
            by_key[key] = names["input_hmac"]
        expected = {name: names[name] for name in ["input_hash", "salted_hash", "written_hash"]}
        if not sorts_alike(record["features"]):
            del expected["written_hash"]
        print(json.dumps({"line": line, "expected": {**expected, "input_hmac": by_key}}))


main()
