"""The composition root: the only place that builds things and hands them to each other."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlapi.config import Config
from mlapi.explain.explainers import Explainers
from mlapi.inference.values import Target
from mlapi.monitoring.process import Process
from mlapi.monitoring.statistics import Statistics
from mlapi.monitoring.traffic import Traffic
from mlapi.registry.follower import Follower
from mlapi.registry.lines import Lines
from mlapi.registry.live import LiveRegistry
from mlapi.registry.orders import Orders
from mlapi.registry.residents import half_of_memory
from mlapi.registry.run import folder_of_run
from mlapi.registry.store import Store
from mlapi.registry.worker_files import Source, WorkerFiles
from mlapi.rollouts.bookkeeper import Bookkeeper
from mlapi.rollouts.breaker import Breaker
from mlapi.rollouts.controller import Controller
from mlapi.rollouts.counters import Counters
from mlapi.rollouts.desk import Desk
from mlapi.rollouts.exposures import ExposureLog
from mlapi.rollouts.follower import RolloutFollower
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.measured import Measured
from mlapi.rollouts.outcomes import Outcomes
from mlapi.rollouts.recall import Recall
from mlapi.rollouts.request_log import RequestLog
from mlapi.rollouts.router import Router
from mlapi.rollouts.shadowing import Shadower
from mlapi.serving import metrics
from mlapi.serving.dataplane import DataPlane, Observer
from mlapi.serving.metrics import Metrics
from mlapi.serving.repository import ModelRepository

log = logging.getLogger("mlapi.server")


@dataclass(frozen=True, slots=True)
class Services:
    """All that an app needs, built once; `start` it in every process that answers, after the fork."""

    config: Config
    store: Store
    live: LiveRegistry
    plane: DataPlane
    repository: ModelRepository
    files: WorkerFiles
    traffic: Traffic
    process: Process
    metrics: Metrics
    follower: Follower
    explainers: Explainers
    router: Router
    desk: Desk
    rollouts: RolloutFollower
    controller: Controller
    exposures: ExposureLog
    outcomes: Outcomes
    lines: Lines
    shadower: Shadower
    requests: RequestLog
    started: set[int] = field(default_factory=set)
    """The processes in which it was: every request asks."""

    def start(self) -> None:
        """Prove and warm the models, then follow the registry and the orders; once a process."""
        if os.getpid() in self.started:
            return
        self.follower.start()
        self.live.start()
        self.rollouts.start()
        self.controller.start()
        self.exposures.start()
        self.lines.start()
        self.shadower.start()
        self.requests.start()
        self.files.start()
        self.started.add(os.getpid())

    def flush(self) -> None:
        """Write down what this process has counted: before it ends. What cannot be written keeps no other from it."""
        last = self.files.flush  # the others may count what they lose
        for write in (self.rollouts.flush, self.exposures.flush, self.outcomes.seal, self.lines.flush,
                      self.requests.flush, last):  # fmt: skip
            try:
                write()
            except OSError as error:
                log.warning("not all was written at the end", extra={"error": str(error)})

    def stop(self) -> None:
        """End following, counting, controlling and shadowing; what is loaded keeps answering as it stands.

        For those who build an app within a process that goes on, as tests do; a server's threads end with it.
        """
        followers = (self.follower, self.live, self.rollouts, self.controller)
        for one in (*followers, self.files, self.exposures, self.lines, self.shadower, self.requests):
            one.stop()


def _room(config: Config) -> int | None:
    """The bytes that each worker may fill with models of its own; None is any."""
    most = half_of_memory() if config.max_loaded_bytes is None else config.max_loaded_bytes
    return most // config.workers or None


def build_services(config: Config, observers: Sequence[Observer] = ()) -> Services:
    """Return the services for `config`, with every model on disk verified and parsed, none asked yet.

    Nothing here starts a thread or predicts, so a server may fork afterwards; `Services.start` does both.
    """
    shared = folder_of_run(config.run_folder)
    store, orders = Store(config.registry), Orders(shared)
    live = LiveRegistry(
        store, config.poll_seconds, config.max_artifact_bytes, _room(config), plans=config.plans == "on",
    )
    generations = Generations(store)
    live.divided = generations.answering
    live.preload()
    router, counters = Router(live), Counters()
    rollouts = RolloutFollower(generations, router, counters, recall=Recall(shared))
    exposures = ExposureLog(generations, router.known, on=config.exposures == "on")
    lines = Lines()
    requests, statistics, traffic = RequestLog(store, config.request_log), Statistics(), Traffic()
    shadower = Shadower(live, router.known, generations.folder, lines, inputs=config.request_log > 0)
    watching = (statistics.observe, *((requests.observe,) if config.request_log else ()), *observers)
    of_rollouts = (counters.observe, exposures.observe, Breaker(rollouts.trip).observe, shadower.observe)
    plane = DataPlane(
        live, router.route, watching, treat=router.treat, ready=router.ready, of_rollouts=of_rollouts,
    )
    desk = Desk(generations, lambda model, version: _require_ready(live, Target(model, version)))
    repository, follower = ModelRepository(live, orders), Follower(orders, live)
    explainers = Explainers()
    live.left = explainers.forget
    controller = Controller(generations, router, Bookkeeper(generations, shared))
    process = Process(
        {metrics.EXPOSURES: lambda: exposures.dropped, metrics.PAIRS: lambda: lines.all_lost,
         metrics.REQUESTS: lambda: requests.all_dropped, metrics.OBSERVERS: lambda: plane.failed_observations},
        {metrics.LOADED: lambda: live.residents.size},
    )  # fmt: skip
    files = _files(shared, (statistics, traffic, process, Measured(router, counters, controller, rollouts)))
    return Services(
        config, store, live, plane, repository, files, traffic, process, Metrics(files, live, router), follower,
        explainers, router, desk, rollouts, controller, exposures, Outcomes(generations), lines, shadower, requests,
    )


def _files(folder: Path, sources: Sequence[Source]) -> WorkerFiles:
    """The files in `folder` that hold what the `sources` count in each worker."""
    files = WorkerFiles(folder, metrics.SECTIONS)
    for source in sources:
        files.add(source)
    return files


def _require_ready(live: LiveRegistry, target: Target) -> None:
    live.get(target)
