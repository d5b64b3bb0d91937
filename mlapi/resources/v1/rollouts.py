"""Rollouts over REST: start one, see how it stands, pause, resume, promote, abort, release; and who gets what."""

from dataclasses import asdict, replace
from typing import Any

from flask import Response, abort, request
from flask_restful import Resource

from mlapi.errors import InvalidRequest, RegistryError, RolloutNotFound
from mlapi.inference.values import Target
from mlapi.resources.api import Api, document, target_of
from mlapi.resources.body import read_body
from mlapi.resources.v1.paths import MODEL
from mlapi.rollouts import document as rollout_document
from mlapi.rollouts import explanation, pairs, picture, progress
from mlapi.rollouts import report as reports
from mlapi.rollouts.buckets import BUCKETS
from mlapi.rollouts.desk import VERBS, Desk
from mlapi.rollouts.document import Guardrail, Metric, Shadow, Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.router import Router
from mlapi.schemas.v1 import comparison, rollouts
from mlapi.schemas.v1 import report as report_schema
from mlapi.serving.dataplane import DataPlane

ROLLOUTS = "/v1/rollouts"
BY = "api"
CREATED = 201

PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
}
"""The page has a style sheet of its own and nothing else; it loads and runs nothing."""

_REPORT, _COMPARED = report_schema.Report(), comparison.Comparison()
_LIST, _ONE, _ASSIGNED = rollouts.RolloutList(), rollouts.Rollout(), rollouts.Assignment()


def install(api: Api, desk: Desk, router: Router, plane: DataPlane, limit: int) -> None:
    """Put rollouts on `api`; bodies may have `limit` bytes."""
    needs = {"desk": desk, "router": router, "limit": limit}
    one = f"{ROLLOUTS}/<segment:rollout>"
    api.add_resource(Rollouts, ROLLOUTS, endpoint="v1-rollouts", resource_class_kwargs=needs)
    api.add_resource(Start, ROLLOUTS, endpoint="v1-rollout-start", resource_class_kwargs=needs)
    api.add_resource(Rollout, one, endpoint="v1-rollout", resource_class_kwargs=needs)
    api.add_resource(Comparison, f"{one}/comparison", endpoint="v1-comparison", resource_class_kwargs=needs)
    api.add_resource(Report, f"{one}/report", endpoint="v1-rollout-report", resource_class_kwargs=needs)
    api.add_resource(Verb, f"{one}:<segment:verb>", endpoint="v1-rollout-verb", resource_class_kwargs=needs)
    asks = {"desk": desk, "plane": plane}
    api.add_resource(Assignment, f"{MODEL}/assignment", endpoint="v1-assignment", resource_class_kwargs=asks)


class _OfDesk(Resource):
    """A resource that asks the desk."""

    init_every_request = False

    def __init__(self, desk: Desk, router: Router, limit: int) -> None:
        self._desk, self._router, self._limit = desk, router, limit

    def _standing(self, rollout: str, status: int = 200) -> Response:
        stands = progress.of(self._desk.generations, self._found(rollout))
        stale = stands.rollout.is_active and self._router.is_stale(stands.rollout.model)
        return document(_ONE, picture.of_progress(stands, stale=stale), status)

    def _found(self, rollout: str) -> rollout_document.Rollout:
        """Return the rollout on disk; while the registry cannot be read, as this process last heard of it."""
        try:
            return self._desk.generations.find(rollout)
        except (RolloutNotFound, RegistryError, OSError):
            known = self._router.known(rollout)
            if known is None:
                raise
            return known


class Rollouts(_OfDesk):
    """All rollouts of all models."""

    def get(self) -> Response:
        """Return one row a rollout, by model, oldest first; `?model=NAME` keeps those of one."""
        model = request.args.get("model")
        rows = [picture.summary(one) for one in self._desk.all() if model in {None, one.model}]
        return document(_LIST, {"rollouts": rows})


class Start(_OfDesk):
    """Starting a rollout."""

    def post(self) -> Response:
        """Start a rollout and return it."""
        order = rollouts.load(read_body(self._limit))
        target_of(order.model)
        reason = (BY, order.why or "started")
        started = self._desk.start(order.model, order.candidate, order.control, _plan(order), reason)
        return self._standing(started.id, CREATED)


class Rollout(_OfDesk):
    """One rollout."""

    def get(self, rollout: str) -> Response:
        """Return how it stands: its state and plan, who follows it, what each arm came to, its history."""
        return self._standing(rollout)


class Comparison(_OfDesk):
    """The two versions of a shadow, compared."""

    def get(self, rollout: str) -> Response:
        """Return how often and by how much they disagree so far, and how they fared; without pairs no numbers."""
        known = self._desk.generations.find(rollout)
        return document(_COMPARED, pairs.picture(known, pairs.comparison_of(self._desk.generations, known)))


class Report(_OfDesk):
    """How a rollout went, for the people who decide."""

    def get(self, rollout: str) -> Response:
        """Return it as a page where HTML is asked for, as by a browser, else as a document."""
        made = reports.of(progress.of(self._desk.generations, self._found(rollout)))
        if request.accept_mimetypes.best_match(("application/json", "text/html")) != "text/html":
            rows = [{**asdict(one), "rows": [[str(cell) for cell in row] for row in one.rows]} for one in made.sections]
            told = {"title": made.title, "sentence": made.sentence, "sections": rows}
            return document(_REPORT, told)
        return Response(reports.html(made), content_type="text/html; charset=utf-8", headers=PAGE)


class Verb(_OfDesk):
    """What an operator does with a rollout."""

    def post(self, rollout: str, verb: str) -> Response:
        """Pause, resume, promote, abort or release it, and return how it stands then."""
        if verb not in VERBS:
            abort(404)
        why = rollouts.load_why(read_body(self._limit))
        self._desk.change(self._desk.generations.find(rollout), verb, (BY, why or verb))
        return self._standing(rollout)


class Assignment(Resource):
    """Who gets which version of a model, and why."""

    init_every_request = False

    def __init__(self, desk: Desk, plane: DataPlane) -> None:
        self._desk, self._plane = desk, plane

    def get(self, name: str) -> Response:
        """Return the version that `?key=KEY` gets, or the one that answered `?prediction_id=ID`, and why."""
        target = target_of(name)
        loaded = self._plane.model(target)
        found = self._explained(target)
        version = loaded.manifest.version if found.version is None else found.version
        return document(_ASSIGNED, picture.of_explanation(target.model, version, found))

    def _explained(self, target: Target) -> explanation.Explanation:
        generations = self._desk.generations
        key, given = request.args.get("key"), request.args.get("prediction_id")
        if (key is None) == (given is None):
            got = "neither" if key is None else "both"
            raise InvalidRequest([f"expected exactly one of key and prediction_id in the query, got {got}"])
        if given is not None:
            return explanation.of_prediction(generations, target.model, given)
        return explanation.of_key(generations.current(target.model), key or "")


def _plan(order: rollouts.Order) -> Plan:
    given: dict[str, Any] = {
        "steps": None if order.plan is None else tuple(
            Step(round(one.weight * BUCKETS), one.min_duration_s, one.min_samples) for one in order.plan
        ),
        "guardrails": None if order.guardrails is None else tuple(
            Guardrail(one.name, one.margin, one.alpha, one.limit) for one in order.guardrails
        ),
        "keys": order.keys, "srm_alpha": order.srm_alpha, "on_pause": order.on_pause, "on_finish": order.on_finish,
        "max_duration_s": order.max_duration_s, "on_inconclusive": order.on_inconclusive,
        "shadow": None if order.shadow is None else Shadow(
            round(order.shadow.rate * BUCKETS), order.shadow.core_share, order.shadow.tolerance, order.shadow.segments,
        ),
        "metric": None if order.metric is None else Metric(**asdict(order.metric)),
    }  # fmt: skip
    return replace(Plan(), **{name: value for name, value in given.items() if value is not None})
