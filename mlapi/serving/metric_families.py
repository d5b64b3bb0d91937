"""The metrics: their names, kinds, labels and what they tell; docs/metrics.md has the same table.

Named as Prometheus recommends: base units, `_total` on what only grows (prometheus.io, "Metric and label naming").
No label is a caller's to choose: models, versions and rollouts are those of the registry, routes those of the API.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its labels."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    tells: str


BUILD = Family("mlapi_build_info", "gauge", ("version",), "Always 1; the version of mlapi that runs.")
WORKERS = Family("mlapi_workers", "gauge", (), "Worker processes that wrote their counters in the last ten seconds.")

HTTP_REQUESTS = Family(
    "mlapi_http_requests_total", "counter", ("method", "route", "status"), "Requests that were answered, by route.",
)
HTTP_DURATIONS = Family(
    "mlapi_http_request_duration_seconds", "histogram", ("route",),
    "From a request being whole to its answer, the wait for a thread included.",
)
REFUSALS = Family(
    "mlapi_server_refusals_total", "counter", ("status",),
    "Answers that the server gave itself: malformed or late requests, a full queue, answers that came too late.",
)
CONNECTIONS = Family("mlapi_server_connections", "gauge", (), "Open connections.")
WAITING = Family("mlapi_server_waiting_requests", "gauge", (), "Requests that wait for a thread.")
RUNNING = Family("mlapi_server_running_requests", "gauge", (), "Requests that a thread works on.")

INFERENCES = Family(
    "mlapi_inference_requests_total", "counter", ("model", "version", "outcome"),
    "Inference requests, by outcome: success or failure.",
)
ROWS = Family("mlapi_inference_rows_total", "counter", ("model", "version"), "Rows that were predicted.")
EXECUTIONS = Family(
    "mlapi_inference_executions_total", "counter", ("model", "version"),
    "Predictions; one may answer several requests at once.",
)
PHASES = Family(
    "mlapi_inference_phase_seconds_total", "counter", ("model", "version", "phase"),
    "Time of successful requests by phase: compute_input, compute_infer, compute_output.",
)
INFERENCE_DURATIONS = Family(
    "mlapi_inference_duration_seconds", "histogram", ("model", "version"),
    "Time of successful requests from reading the body to the written answer.",
)
LAST = Family(
    "mlapi_inference_last_success_timestamp_seconds", "gauge", ("model", "version"),
    "When a request was last answered with success; seconds since the epoch.",
)

VERSIONS = Family(
    "mlapi_model_versions", "gauge", ("model", "state"),
    "Versions by state: READY, LOADING, UNAVAILABLE, as the answering worker sees them.",
)
LOADED_BYTES = Family(
    "mlapi_loaded_bytes", "gauge", (), "Bytes of loaded versions that the workers do not share, over all workers.",
)
SILENCE = Family(
    "mlapi_registry_silence_seconds", "gauge", (),
    "Since the registry was last read, by the worker for which that is longest ago.",
)

ROLLOUT = Family(
    "mlapi_rollout_info", "gauge", ("model", "rollout", "control", "candidate", "state"),
    "Always 1; the rollout in force of a model, active or ended.",
)
STEP = Family("mlapi_rollout_step", "gauge", ("model", "rollout"), "The step of its plan, from 0.")
SHARE = Family("mlapi_rollout_candidate_ratio", "gauge", ("model", "rollout"), "The candidate's share, 0 to 1.")
GENERATION = Family("mlapi_rollout_generation", "gauge", ("model", "rollout"), "The generation that is followed.")
STALE = Family(
    "mlapi_rollout_stale_workers", "gauge", ("model", "rollout"),
    "Workers in which only the control answers, since the registry was not heard of for 30 seconds.",
)
ARM_REQUESTS = Family(
    "mlapi_rollout_requests_total", "counter", ("model", "rollout", "arm"), "Requests by the arm that was assigned.",
)
ARM_FAILURES = Family(
    "mlapi_rollout_failures_total", "counter", ("model", "rollout", "arm", "kind"),
    "Those of them that failed, by kind: errors, invalid, slow.",
)
FALLBACKS = Family(
    "mlapi_rollout_fallbacks_total", "counter", ("model", "rollout"),
    "Requests of the candidate that the control answered in its place.",
)
EVIDENCE = Family(
    "mlapi_rollout_evidence", "gauge", ("model", "rollout", "name"),
    "What the controller saw at its last look: e-values of the guardrails, p_srm; told by the host that controls.",
)
EFFECT = Family(
    "mlapi_rollout_effect", "gauge", ("model", "rollout", "name"),
    "How the metric of the rollout stood at that look: difference, lower, upper and what stands behind them.",
)

DROPPED = Family(
    "mlapi_dropped_lines_total", "counter", ("log",),
    "Lines that were not written for want of room: exposures, pairs of shadows, requests for replays.",
)
OBSERVERS = Family(
    "mlapi_observer_failures_total", "counter", (), "Failures of what watches inference; the log has each of them.",
)

FAMILIES = (
    BUILD, WORKERS, HTTP_REQUESTS, HTTP_DURATIONS, REFUSALS, CONNECTIONS, WAITING, RUNNING, INFERENCES, ROWS,
    EXECUTIONS, PHASES, INFERENCE_DURATIONS, LAST, VERSIONS, LOADED_BYTES, SILENCE, ROLLOUT, STEP, SHARE, GENERATION,
    STALE, ARM_REQUESTS, ARM_FAILURES, FALLBACKS, EVIDENCE, EFFECT, DROPPED, OBSERVERS,
)  # fmt: skip
