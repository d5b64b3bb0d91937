"""The other documents of V1, as schemas that write and describe them."""

from marshmallow import fields, validate

from mlapi.schemas.members import Answer, Truth

STATES = ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")


class Alive(Answer):
    """GET /."""

    status = fields.String(required=True)


class ModelList(Answer):
    """GET /v1/models."""

    models = fields.List(fields.String(), required=True)


class Code(Answer):
    """Why a version is in its state."""

    error_code = fields.String(required=True)
    error_message = fields.String(required=True)


class VersionState(Answer):
    """One version."""

    version = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    status = fields.Nested(Code, required=True)


class Status(Answer):
    """One body for two protocols: KServe reads `ready`, TensorFlow Serving `model_version_status`."""

    name = fields.String(required=True)
    ready = Truth(required=True)
    model_version_status = fields.List(fields.Nested(VersionState), required=True)
    error = fields.String()


class ModelSpec(Answer):
    """Which version metadata are of."""

    name = fields.String(required=True)
    signature_name = fields.String(required=True)
    version = fields.String(required=True)


class Dimension(Answer):
    """One dimension of a tensor; -1 is the batch."""

    size = fields.String(required=True)
    name = fields.String(required=True)


class Shape(Answer):
    """The shape of a tensor."""

    dim = fields.List(fields.Nested(Dimension), required=True)
    unknown_rank = Truth(required=True)


class TensorInfo(Answer):
    """One tensor."""

    dtype = fields.String(required=True)
    name = fields.String(required=True)
    tensor_shape = fields.Nested(Shape, required=True)


class SignatureDef(Answer):
    """One signature: what goes in and what comes out."""

    inputs = fields.Dict(fields.String(), fields.Nested(TensorInfo), required=True)
    outputs = fields.Dict(fields.String(), fields.Nested(TensorInfo), required=True)
    method_name = fields.String(required=True)


class SignatureMap(Answer):
    """The signatures by name."""

    signature_def = fields.Dict(fields.String(), fields.Nested(SignatureDef), required=True)


class Signatures(Answer):
    """Their name stands twice, as it does in TensorFlow Serving."""

    signature_def = fields.Nested(SignatureMap, required=True)


class Metadata(Answer):
    """GET /v1/models/NAME/metadata; the signatures are protobuf's JSON."""

    model_spec = fields.Nested(ModelSpec, required=True)
    metadata = fields.Nested(Signatures, required=True)
