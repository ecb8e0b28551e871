"""Says what is wrong with YAML files by published schemas.

    python validate.py compose SCHEMA FILE
    python validate.py kubernetes VERSION FILE...      each document of each file; kustomize's own are passed over

Prints what is wrong, a line each, then what was looked at. Exit 1 when something is wrong.
"""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml


def compose(schema_file: str, file: str):
    schema = json.loads(Path(schema_file).read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    yield file, [f"{error.json_path}: {error.message}" for error in validator.iter_errors(yaml.safe_load(Path(file).read_text()))]


def kubernetes(version: str, *files: str):
    for file in files:
        for document in yaml.safe_load_all(Path(file).read_text()):
            if document["apiVersion"].startswith("kustomize.config.k8s.io/"):
                continue
            wrong = []
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong = [f"{'.'.join(map(str, error.path))}: {error.message}"]
            yield f"{document['kind']} {document['metadata']['name']}", wrong


def main() -> None:
    looked_at = {"compose": compose, "kubernetes": kubernetes}[sys.argv[1]](*sys.argv[2:])
    failed = False
    for what, wrong in looked_at:
        for problem in wrong:
            print(f"{what}: {problem}")
        print(f"looked at {what}")
        failed = failed or bool(wrong)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
