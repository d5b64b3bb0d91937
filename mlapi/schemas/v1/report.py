"""The report of a rollout, as a document."""

from marshmallow import fields

from mlapi.schemas.members import Answer


class Section(Answer):
    """A part of a report: what it means, a table, and a chart in SVG."""

    heading = fields.String(required=True)
    text = fields.String(required=True)
    columns = fields.List(fields.String(), required=True)
    rows = fields.List(fields.List(fields.String()), required=True)
    drawing = fields.String(required=True)


class Report(Answer):
    """GET /v1/rollouts/ID/report."""

    title = fields.String(required=True)
    sentence = fields.String(required=True)
    sections = fields.List(fields.Nested(Section), required=True)
