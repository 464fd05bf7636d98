"""Validates manifests against the published schemas and prints them as JSON.

    manifests.py KUBERNETES_VERSION FILE...

Custom resources: SidecarSet against tests/schemas/sidecarset.json, and its containers and volumes
as those of a pod.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

KRUISE_FIELDS = {"podInjectPolicy", "shareVolumePolicy", "upgradeStrategy", "transferEnv"}


def check_sidecarset(document, version):
    schema = pathlib.Path(__file__).parent / "schemas" / "sidecarset.json"
    jsonschema.validate(document, json.loads(schema.read_text()))
    spec = document["spec"]
    containers = [
        {key: value for key, value in container.items() if key not in KRUISE_FIELDS}
        for container in spec["containers"]
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": document["metadata"]["name"]},
        "spec": {"containers": containers, "volumes": spec.get("volumes", [])},
    }
    kubernetes_validate.validate(pod, version, strict=True)


def main(version, files):
    found = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            for document in yaml.safe_load_all(text):
                if document is None:
                    continue
                try:
                    if document["kind"] == "SidecarSet":
                        check_sidecarset(document, version)
                    else:
                        kubernetes_validate.validate(document, version, strict=True)
                except Exception as error:
                    sys.exit(f"{file}: {document.get('kind')}: {error}")
                found.append({"file": file, "document": document})
    json.dump(found, sys.stdout)


main(sys.argv[1], sys.argv[2:])
