"""Reads metrics from standard input by Prometheus' own parser, and writes what it finds as JSON.

    read_metrics.py text|openmetrics

One object: by metric its type and its samples, `[name, labels, value]` each.
"""

import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

parse = {
    "text": parser.text_string_to_metric_families,
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
}[sys.argv[1]]
found = {
    family.name: {
        "type": family.type,
        "samples": [[sample.name, sample.labels, float(sample.value)] for sample in family.samples],
    }
    for family in parse(sys.stdin.read())
}
json.dump(found, sys.stdout)
