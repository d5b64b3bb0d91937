"""Outcomes over REST: what came of predictions that a rollout decided."""

from collections import Counter
from typing import Any

from flask import Response
from flask_restful import Resource

from mlapi.resources.api import Api, document
from mlapi.resources.body import read_body
from mlapi.rollouts.outcomes import Outcome, Outcomes, Receipt
from mlapi.schemas.v1 import outcomes

ACCEPTED = 202
_RECEIPTS = outcomes.Receipts()


def install(api: Api, desk: Outcomes, limit: int) -> None:
    """Put outcomes on `api`; bodies may have `limit` bytes."""
    needs = {"desk": desk, "limit": limit}
    api.add_resource(Told, "/v1/outcomes", endpoint="v1-outcomes", resource_class_kwargs=needs)


class Told(Resource):
    """Outcomes that are told."""

    init_every_request = False

    def __init__(self, desk: Outcomes, limit: int) -> None:
        self._desk, self._limit = desk, limit

    def post(self) -> Response:
        """Write them down and return a receipt for each, in order."""
        told = outcomes.load(read_body(self._limit))
        fit = [Outcome(one.prediction_id, one.value, one.label, one.metric) for one in told if not isinstance(one, str)]
        taken = iter(self._desk.take(fit))
        receipts = [Receipt("invalid", one) if isinstance(one, str) else next(taken) for one in told]
        return document(_RECEIPTS, _receipts(receipts), ACCEPTED)


def _receipts(receipts: list[Receipt]) -> dict[str, Any]:
    counts = Counter(one.status for one in receipts)
    rows = [{"status": one.status, **({"why": one.why} if one.why else {})} for one in receipts]
    return {"outcomes": rows, **{status: counts[status] for status in ("accepted", "duplicate", "late", "invalid")}}
