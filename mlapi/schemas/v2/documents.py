"""The other documents of V2, as schemas that write and describe them."""

from marshmallow import ValidationError, fields, validate

from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import Envelope, checked
from mlapi.schemas.members import Answer, Truth, Whole

STATES = ("READY", "LOADING", "UNLOADING", "UNAVAILABLE")


class Server(Answer):
    """GET /v2."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    extensions = fields.List(fields.String(), required=True)


class ServerLive(Answer):
    """GET /v2/health/live."""

    live = Truth(required=True)


class ServerReady(Answer):
    """GET /v2/health/ready."""

    ready = Truth(required=True)
    live = Truth(required=True)


class ModelList(Answer):
    """GET /v2/models."""

    models = fields.List(fields.String(), required=True)


class Tensor(Answer):
    """One tensor of a signature."""

    name = fields.String(required=True)
    datatype = fields.String(required=True)
    shape = fields.List(Whole(), required=True)


class Model(Answer):
    """GET /v2/models/NAME."""

    name = fields.String(required=True)
    versions = fields.List(fields.String(), required=True)
    platform = fields.String(required=True)
    inputs = fields.List(fields.Nested(Tensor), required=True)
    outputs = fields.List(fields.Nested(Tensor), required=True)


class ModelReady(Answer):
    """GET /v2/models/NAME/ready."""

    name = fields.String(required=True)
    ready = Truth(required=True)


class ConfigTensor(Answer):
    """One tensor of a model configuration; `dims` leave the batch out."""

    name = fields.String(required=True)
    data_type = fields.String(required=True)
    dims = fields.List(Whole(), required=True)


class Config(Answer):
    """GET /v2/models/NAME/config."""

    name = fields.String(required=True)
    platform = fields.String(required=True)
    backend = fields.String(required=True)
    max_batch_size = Whole(required=True)
    version_policy = fields.Dict(required=True)
    input = fields.List(fields.Nested(ConfigTensor), required=True)
    output = fields.List(fields.Nested(ConfigTensor), required=True)


class IndexRow(Answer):
    """One version in POST /v2/repository/index."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    reason = fields.String(required=True)


class Loaded(Answer):
    """POST /v2/repository/models/NAME/load."""

    name = fields.String(required=True)
    loaded = Truth(required=True, data_key="load", attribute="load")  # `load` is a method of schemas


class Unloaded(Answer):
    """POST /v2/repository/models/NAME/unload."""

    name = fields.String(required=True)
    unload = Truth(required=True)


class Duration(Answer):
    """How often, and nanoseconds in all."""

    count = Whole(required=True)
    ns = Whole(required=True)


class BatchStatistics(Answer):
    """The phases of batches of one size."""

    batch_size = Whole(required=True)
    compute_input = fields.Nested(Duration, required=True)
    compute_infer = fields.Nested(Duration, required=True)
    compute_output = fields.Nested(Duration, required=True)


class InferStatistics(Answer):
    """Outcomes and phases of inferences."""

    success = fields.Nested(Duration, required=True)
    fail = fields.Nested(Duration, required=True)
    queue = fields.Nested(Duration, required=True)
    compute_input = fields.Nested(Duration, required=True)
    compute_infer = fields.Nested(Duration, required=True)
    compute_output = fields.Nested(Duration, required=True)
    cache_hit = fields.Nested(Duration, required=True)
    cache_miss = fields.Nested(Duration, required=True)


class ModelStatistics(Answer):
    """The statistics of one version."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    last_inference = Whole(required=True)
    inference_count = Whole(required=True)
    execution_count = Whole(required=True)
    inference_stats = fields.Nested(InferStatistics, required=True)
    response_stats = fields.Dict(required=True)
    memory_usage = fields.List(fields.Raw(), required=True)
    batch_stats = fields.List(fields.Nested(BatchStatistics), required=True)


class Statistics(Answer):
    """GET /v2/models/stats."""

    model_stats = fields.List(fields.Nested(ModelStatistics), required=True)


def _is_bool(value: object) -> None:
    if type(value) is not bool:  # 1 equals True
        msg = "expected true or false"
        raise ValidationError(msg)


class IndexRequest(Envelope):
    """The body of a repository index request."""

    ready = fields.Raw(load_default=False, validate=_is_bool, metadata={"type": "boolean"})


class OrderRequest(Envelope):
    """The body of a load or unload request."""

    parameters = fields.Dict(load_default=dict)


def load_index(data: bytes) -> bool:
    """Return whether only ready versions are asked for; an empty body asks for all. Raises InvalidRequest."""
    return bool(checked(IndexRequest(), jsonbody.decode(data))["ready"]) if data.strip() else False


def load_order(data: bytes) -> dict[str, object]:
    """Return the parameters of a load or unload request; an empty body has none. Raises InvalidRequest."""
    parameters: dict[str, object] = checked(OrderRequest(), jsonbody.decode(data))["parameters"] if data.strip() else {}
    return parameters
