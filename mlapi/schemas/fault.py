"""The error object: the one body of every status of 400 or more."""

from marshmallow import fields, validate

from mlapi.schemas.members import Answer, Truth


class Fault(Answer):
    """One sentence for a person, and further members where they help."""

    error = fields.String(required=True, validate=validate.Length(min=1))
    faults = fields.List(fields.String(), metadata={"description": "Every fault, where there are several."})
    request_id = fields.String(metadata={"description": "Under which the server's log has the detail."})
    ready = Truth(metadata={"description": "Of the probes: false."})
