"""The other documents of V1, as schemas that write and describe them."""

from marshmallow import fields, validate

from mlapi.schemas.envelope import Envelope

STATES = ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")


class Alive(Envelope):
    """GET /."""

    status = fields.String(required=True)


class ModelList(Envelope):
    """GET /v1/models."""

    models = fields.List(fields.String(), required=True)


class Code(Envelope):
    """Why a version is in its state."""

    error_code = fields.String(required=True)
    error_message = fields.String(required=True)


class VersionState(Envelope):
    """One version."""

    version = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    status = fields.Nested(Code, required=True)


class Status(Envelope):
    """One body for two protocols: KServe reads `ready`, TensorFlow Serving `model_version_status`."""

    name = fields.String(required=True)
    ready = fields.Boolean(required=True)
    model_version_status = fields.List(fields.Nested(VersionState), required=True)
    error = fields.String()


class ModelSpec(Envelope):
    """Which version metadata are of."""

    name = fields.String(required=True)
    signature_name = fields.String(required=True)
    version = fields.String(required=True)


class Metadata(Envelope):
    """GET /v1/models/NAME/metadata; the signatures are protobuf's JSON."""

    model_spec = fields.Nested(ModelSpec, required=True)
    metadata = fields.Dict(required=True)
