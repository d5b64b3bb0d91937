"""gunicorn's settings: `gunicorn wsgi:app -c python:mlapi.server.settings`.

Models are read before the fork, so that workers share their memory, and asked only after it.
"""

import gc
import logging
import os
import signal
import sys
from typing import Any

from mlapi.config import Config
from mlapi.errors import RegistryError
from mlapi.server import banner, logs

MEMORY = "/dev/shm"  # noqa: S108 (gunicorn makes files of its own there)

_config = Config.from_environ()

# Until the workers are forked nothing is garbage: collecting while modules are imported is a sixth of the start.
gc.disable()

# As the first process of a container it would ignore SIGTERM until gunicorn has its own handlers, which
# is after all models are read; nothing is in flight before that.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

bind = _config.bind
workers = _config.workers
threads = _config.threads
worker_class = "mlapi.server.worker.Worker"
preload_app = True
timeout = 30
graceful_timeout = _config.graceful_seconds
keepalive = 5
raw_env = [
    f"{name}={_config.compute_threads}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
]
"""Set before the application is imported, since OpenMP reads them when it is loaded."""

# What gunicorn would do by default and a model server must not: a control socket in the home folder,
# headers that rewrite the path, another HTTP parser where one happens to be installed.
control_socket_disable = True
forwarder_headers = ""
forwarded_allow_ips = ""
http_parser = "python"
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None  # heartbeats: a disk that stalls would kill workers

accesslog = None
logconfig_dict = logs.configuration(_config.log_level)


def when_ready(server: Any) -> None:  # noqa: ANN401 (gunicorn's Arbiter has no types)
    """Tell the person at the terminal what is served, once the socket listens."""
    services = server.app.callable.extensions["mlapi"]
    url = banner.url_of(str(server.LISTENERS[0]).removeprefix("http://").removeprefix("https://"))
    versions = {name: shelf.versions for name, shelf in services.live.shelves().items()}
    sys.stdout.write("\n".join(banner.lines(services.live.preloaded(), versions, url)) + "\n")
    sys.stdout.flush()


def on_reload(server: Any) -> None:  # noqa: ANN401 (see when_ready)
    """Read once more what new workers will share, before they replace the old ones (SIGHUP)."""
    try:
        server.app.callable.extensions["mlapi"].live.preload()
    except (OSError, RegistryError) as error:  # the workers that come read for themselves
        logging.getLogger("mlapi.registry").warning("nothing to share", extra={"error": str(error)})


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ANN401, ARG001 (gunicorn's signature)
    """Move all objects out of the collector's sight, so that workers do not copy pages by counting."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:  # noqa: ANN401, ARG001 (gunicorn's signature)
    """Collect garbage again, in the process that makes it."""
    gc.enable()


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 (gunicorn's Worker has no types)
    """Prove and warm the models in the worker that will serve them, before it takes a connection."""
    services = worker.app.callable.extensions["mlapi"]
    services.follower.share(lambda: os.kill(worker.ppid, signal.SIGHUP))
    services.start()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ANN401, ARG001 (gunicorn's signature)
    """Leave behind what this worker has counted since it last wrote it down."""
    worker.app.callable.extensions["mlapi"].flush()
