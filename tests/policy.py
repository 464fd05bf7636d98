"""What admission policies do to pods, without an API server.

    policy.py KUBERNETES_VERSION MUTATING_FILE VALIDATING_FILE < pods.json

Reads a list of pods, prints a list of {"pod": as it is afterwards, "warnings": [text]}. The
mutating policy is asked twice, as the API server does after another plugin's change, and what it
makes of a pod must be valid against the published schema. Expressions are evaluated with
cel-python. Its objects are maps here; each constructor must name the field that it stands in.
"""

import json
import re
import sys

import celpy
import jsonpatch
import kubernetes_validate
import yaml

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_][\w.]*|\s+|.', re.DOTALL)


def plain(expression):
    """The expression with `Object.spec.x{field: …}` and `JSONPatch{…}` as maps."""
    tokens = TOKEN.findall(expression)
    written = []
    # Open braces: the type in front, if there is one, and the field that is being filled in.
    frames = []
    for place, token in enumerate(tokens):
        following = next((t for t in tokens[place + 1 :] if not t.isspace()), "")
        before = next((t for t in reversed(tokens[:place]) if not t.isspace()), "")
        names_a_type = token == "JSONPatch" or token.startswith("Object")
        if names_a_type and following == "{":
            outer, field = next((f for f in reversed(frames) if f[0]), ("", ""))
            if outer.startswith("Object") and token != f"{outer}.{field}":
                sys.exit(f"{token} stands in the field {field} of {outer}")
            continue
        if token == "{":
            names = before == "JSONPatch" or before.startswith("Object")
            frames.append([before if names else "", ""])
        elif token == "}":
            frames.pop()
        elif frames and frames[-1][0] and before in ("{", ",") and following == ":":
            frames[-1][1] = token
            token = f'"{token}"'
        written.append(token)
    return "".join(written)


def from_cel(value):
    """As JSON has it: CEL's booleans are numbers to Python's encoder."""
    if isinstance(value, celpy.celtypes.BoolType):
        return bool(value)
    if isinstance(value, dict):
        return {str(key): from_cel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_cel(item) for item in value]
    return int(value) if isinstance(value, int) else str(value)


class Policy:
    def __init__(self, file, kind):
        with open(file, encoding="utf-8") as text:
            documents = list(yaml.safe_load_all(text))
        self.spec = next(d["spec"] for d in documents if d["kind"] == kind)
        self.environment = celpy.Environment()
        self.programs = {}

    def evaluate(self, expression, pod, variables):
        if expression not in self.programs:
            tree = self.environment.compile(plain(expression))
            self.programs[expression] = self.environment.program(tree)
        context = {
            "object": celpy.json_to_cel(pod),
            "variables": celpy.json_to_cel(variables),
        }
        return from_cel(self.programs[expression].evaluate(context))

    def matches(self, pod):
        labels = self.spec["matchConstraints"]["objectSelector"]["matchLabels"]
        has = pod["metadata"].get("labels", {})
        conditions = self.spec.get("matchConditions", [])
        return labels.items() <= has.items() and all(
            self.evaluate(condition["expression"], pod, {}) for condition in conditions
        )


def mutated(policy, pod):
    if not policy.matches(pod):
        return pod
    variables = {}
    for variable in policy.spec["variables"]:
        variables[variable["name"]] = policy.evaluate(variable["expression"], pod, variables)
    for mutation in policy.spec["mutations"]:
        patch = policy.evaluate(mutation["jsonPatch"]["expression"], pod, variables)
        pod = jsonpatch.apply_patch(pod, patch)
    return pod


def main(version, mutating, validating):
    mutating = Policy(mutating, "MutatingAdmissionPolicy")
    validating = Policy(validating, "ValidatingAdmissionPolicy")
    found = []
    for pod in json.load(sys.stdin):
        once = mutated(mutating, pod)
        twice = mutated(mutating, once)
        if once != twice:
            sys.exit(f"{pod['metadata']['name']}: another call changes it again")
        kubernetes_validate.validate(once, version, strict=True)
        warnings = [
            validating.evaluate(validation["messageExpression"], once, {})
            for validation in validating.spec["validations"]
            if validating.matches(once)
            and not validating.evaluate(validation["expression"], once, {})
        ]
        found.append({"pod": once, "warnings": warnings})
    json.dump(found, sys.stdout)


main(*sys.argv[1:])
