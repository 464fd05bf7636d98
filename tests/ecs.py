"""Checks a task definition against the model of the ECS API that botocore carries.

    ecs.py TASK_DEFINITION
"""

import json
import sys

import botocore.session
import botocore.validate

with open(sys.argv[1], encoding="utf-8") as text:
    definition = json.load(text)
model = botocore.session.get_session().get_service_model("ecs")
shape = model.operation_model("RegisterTaskDefinition").input_shape
report = botocore.validate.ParamValidator().validate(definition, shape)
if report.has_errors():
    sys.exit(report.generate_report())
