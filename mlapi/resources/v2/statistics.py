"""Inference statistics (Triton, "Statistics extension")."""

from dataclasses import asdict

from flask import Response
from flask_restful import Resource

from mlapi.monitoring import statistics
from mlapi.monitoring.statistics import Duration, VersionStatistics
from mlapi.registry.worker_files import WorkerFiles
from mlapi.resources.api import Api, document, target_of
from mlapi.resources.v2.paths import MODELS, under
from mlapi.schemas.v2 import documents
from mlapi.serving.dataplane import DataPlane

NEVER = asdict(Duration(0, 0))
"""What mlapi has not: a queue before the model, and a cache of answers."""

_STATISTICS = documents.Statistics()


def install(api: Api, plane: DataPlane, files: WorkerFiles) -> None:
    """Put statistics on `api`."""
    needs = {"plane": plane, "files": files}
    api.add_resource(AllStats, f"{MODELS}/stats", endpoint="v2-all-stats", resource_class_kwargs=needs)
    api.add_resource(ModelStats, *under("stats"), endpoint="v2-stats", resource_class_kwargs=needs)


class _OfStatistics(Resource):
    """A resource that asks for counters."""

    init_every_request = False

    def __init__(self, plane: DataPlane, files: WorkerFiles) -> None:
        self._plane, self._files = plane, files

    def _answer(self, wanted: list[tuple[str, int]]) -> Response:
        known = statistics.of_versions(self._files.totals())
        entries = [_entry(known.get(key) or statistics.never_asked(*key)) for key in wanted]
        return document(_STATISTICS, {"model_stats": entries})


class AllStats(_OfStatistics):
    """Statistics of all models."""

    def get(self) -> Response:
        """Return one entry a version."""
        models = self._plane.live.models()
        return self._answer([(model.name, version) for model in models for version in model.versions])


class ModelStats(_OfStatistics):
    """Statistics of one model."""

    def get(self, name: str, version: str | None = None) -> Response:
        """Return one entry a version, or that of the version named."""
        target = target_of(name, version)
        model = self._plane.status(target.model)
        wanted = list(model.versions) if target.version is None else [model.require(target.version).version]
        return self._answer([(model.name, number) for number in wanted])


def _entry(counted: VersionStatistics) -> dict[str, object]:
    durations = {name: asdict(duration) for name, duration in counted.durations.items()}
    return {
        "name": counted.name,
        "version": str(counted.version),
        "last_inference": counted.last_inference,
        "inference_count": counted.inference_count,
        "execution_count": counted.execution_count,
        "inference_stats": {**durations, "queue": NEVER, "cache_hit": NEVER, "cache_miss": NEVER},
        "response_stats": {},
        "memory_usage": [],
        "batch_stats": [
            {"batch_size": rows, **{phase: asdict(duration) for phase, duration in phases.items()}}
            for rows, phases in counted.batches.items()
        ],
    }
