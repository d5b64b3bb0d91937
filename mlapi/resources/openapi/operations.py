"""What each endpoint takes and answers: the schemas that check its bodies, and the faults it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from marshmallow import Schema

from mlapi.schemas import invocations
from mlapi.schemas.v1 import answers, comparison, outcomes, predict, report, rollouts
from mlapi.schemas.v1 import documents as v1
from mlapi.schemas.v1.examples import Examples
from mlapi.schemas.v2 import documents as v2
from mlapi.schemas.v2.answer import Inferred
from mlapi.schemas.v2.envelope import Infer

V1, V2, OTHERS = "v1", "v2", "others"
TAGS = {
    V1: "TensorFlow Serving REST and KServe V1",
    V2: "Open Inference Protocol with Triton's extensions",
    OTHERS: "MLflow, SageMaker, Kubernetes, Prometheus",
}

FAULTS = {
    400: "The body, or what it asks for, cannot be used.",
    404: "No such model, version, label or rollout.",
    409: "The rollout is not in a state for it, or another one is in the way.",
    413: "The body is too large.",
    415: "The content type or encoding is not supported.",
    500: "The server or the model failed; the log has the detail under the request's id.",
    501: "Nothing here can explain this model.",
    503: "Known, but not ready; or an order that was not obeyed in time.",
}
BODY = (400, 413, 415)


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: its method, the schemas of its bodies, and the statuses of its faults.

    `optional` says that an empty body will do. `unready` is the answer of 503 where that is more than the
    error object; `done` is the status of success. `text` says that it is answered with text and not with JSON.
    """

    tag: str
    method: str
    answer: type[Schema] | None
    faults: tuple[int, ...] = (500,)
    request: type[Schema] | None = None
    many: bool = False
    optional: bool = False
    unready: type[Schema] | None = None
    done: int = 200
    text: bool = False


def _asked(tag: str, request: type[Schema], answer: type[Schema], *more: int) -> Operation:
    return Operation(tag, "post", answer, (*BODY, 404, 500, *more, 503), request)


_OF_MODEL = (404, 500, 503)

OPERATIONS: Mapping[str, Operation] = {
    "v1-alive": Operation(V1, "get", v1.Alive),
    "v1-models": Operation(V1, "get", v1.ModelList),
    "v1-status": Operation(V1, "get", v1.Status, _OF_MODEL, unready=v1.Status),
    "v1-metadata": Operation(V1, "get", v1.Metadata, _OF_MODEL),
    "v1-predict": _asked(V1, predict.Predict, answers.Predicted),
    "v1-classify": _asked(V1, Examples, answers.Classified),
    "v1-regress": _asked(V1, Examples, answers.Regressed),
    "v1-explain": _asked(V1, predict.Predict, answers.Explained, 501),
    "v1-rollouts": Operation(V1, "get", rollouts.RolloutList),
    "v1-rollout-start": Operation(
        V1, "post", rollouts.Rollout, (*BODY, 404, 409, 500, 503), rollouts.Start, done=201,
    ),
    "v1-rollout": Operation(V1, "get", rollouts.Rollout, (404, 500)),
    "v1-comparison": Operation(V1, "get", comparison.Comparison, (404, 500)),
    "v1-rollout-report": Operation(V1, "get", report.Report, (404, 500)),
    "v1-rollout-verb": Operation(
        V1, "post", rollouts.Rollout, (*BODY, 404, 409, 500, 503), rollouts.Why, optional=True,
    ),
    "v1-outcomes": Operation(V1, "post", outcomes.Receipts, (*BODY, 500, 503), outcomes.Outcomes, done=202),
    "v1-assignment": Operation(V1, "get", rollouts.Assignment, (400, 404, 500, 503)),
    "v2-server": Operation(V2, "get", v2.Server),
    "v2-live": Operation(V2, "get", v2.ServerLive),
    "v2-ready": Operation(V2, "get", v2.ServerReady, (500, 503)),
    "v2-models": Operation(V2, "get", v2.ModelList),
    "v2-model": Operation(V2, "get", v2.Model, _OF_MODEL),
    "v2-model-ready": Operation(V2, "get", v2.ModelReady, _OF_MODEL),
    "v2-config": Operation(V2, "get", v2.Config, _OF_MODEL),
    "v2-infer": _asked(V2, Infer, Inferred),
    "v2-index": Operation(V2, "post", v2.IndexRow, (*BODY, 500), v2.IndexRequest, many=True, optional=True),
    "v2-load": Operation(V2, "post", v2.Loaded, (*BODY, *_OF_MODEL), v2.OrderRequest, optional=True),
    "v2-unload": Operation(V2, "post", v2.Unloaded, (*BODY, *_OF_MODEL), v2.OrderRequest, optional=True),
    "v2-all-stats": Operation(V2, "get", v2.Statistics),
    "v2-stats": Operation(V2, "get", v2.Statistics, (404, 500)),
    "invocations": _asked(OTHERS, invocations.Invocation, invocations.Predictions),
    "alive": Operation(OTHERS, "get", v2.ServerLive),
    "ready": Operation(OTHERS, "get", v2.ServerReady, (500, 503)),
    "metrics": Operation(OTHERS, "get", None, text=True),
    "openapi": Operation(OTHERS, "get", None),
}
"""By endpoint. A test holds them against the routes of the app, so that neither has one more."""

EXCLUSIVE = {
    predict.Predict: ("instances", "inputs"),
    answers.Predicted: ("predictions", "outputs"),
    invocations.Invocation: invocations.FORMS,
}
"""Members of which exactly one must be there: said by the schemas in a method that no description is made of."""
