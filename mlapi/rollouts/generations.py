"""Rollouts on disk: numbered generations that are only ever added, by compare-and-swap.

`<model>/rollouts/<id>/gen-00000012.json` is made by a hard link, which only one writer can make; who
comes second reads again and decides again. The files are the history; the highest number is what holds.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlapi.errors import RegistryError, RolloutConflict, RolloutNotFound, RolloutNotWritten
from mlapi.registry import durable
from mlapi.registry.store import Store
from mlapi.rollouts import document
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.prediction_id import SECRET_BYTES

FOLDER = "rollouts"
WORKERS = "workers"
SECRET = "secret"  # noqa: S105 (the name of a file)
ID = re.compile(r"ro_[a-z0-9]{4,32}", re.ASCII)
_GENERATION = re.compile(r"gen-([0-9]{8})\.json", re.ASCII)
MOST_TRIES = 20

Change = Callable[[Rollout], Rollout]


@dataclass(frozen=True, slots=True)
class Generations:
    """The rollouts of a registry. Reading never writes."""

    store: Store

    def folder(self, model: str, rollout_id: str) -> Path:
        """Return the folder of a rollout."""
        return self.store.folder(model) / FOLDER / rollout_id

    def ids(self, model: str) -> tuple[str, ...]:
        """Return the rollouts that a model ever had, in no order; empty where it had none."""
        try:
            return tuple(path.name for path in (self.store.folder(model) / FOLDER).iterdir() if ID.fullmatch(path.name))
        except FileNotFoundError:
            if not self.store.folder(model).is_dir():
                self.store.head()  # raises where all of the registry is gone
            return ()

    def latest(self, model: str, rollout_id: str) -> Rollout:
        """Return the newest generation of a rollout; raises RolloutNotFound, RegistryError where it is damaged."""
        if ID.fullmatch(rollout_id) is None:
            raise RolloutNotFound("there is no rollout of that name; a rollout is called such as ro_k7q2m4xa")
        folder = self.folder(model, rollout_id)
        try:
            newest = max((path.name for path in folder.iterdir() if _GENERATION.fullmatch(path.name)), default="none")
            rollout = document.loads(_read(folder / newest))
        except (FileNotFoundError, NotADirectoryError) as error:
            self.store.head()  # see ids
            raise RolloutNotFound(f"model '{model}' has no rollout '{rollout_id}'") from error
        if (rollout.id, rollout.model, _name(rollout.generation)) != (rollout_id, model, newest):
            raise RegistryError(f"the {newest} of rollout '{rollout_id}' is that of another rollout or generation")
        return rollout

    def all(self, model: str) -> tuple[Rollout, ...]:
        """Return the newest generation of every rollout of a model, oldest rollout first.

        One that is only being made, or was never finished, is left out.
        """
        found = []
        for rollout_id in self.ids(model):
            with contextlib.suppress(RolloutNotFound):
                found.append(self.latest(model, rollout_id))
        return tuple(sorted(found, key=lambda rollout: rollout.serial))

    def current(self, model: str) -> Rollout | None:
        """Return the rollout that is in force: the last one of the model, unless it was released."""
        known = self.all(model)
        return known[-1] if known and known[-1].holds else None

    def answering(self, model: str) -> tuple[int, ...]:
        """Return the versions that the rollout in force gives requests to; none where that cannot be read."""
        try:
            held = self.current(model)
        except (OSError, RegistryError):  # who follows the rollouts says so
            return ()
        return _answering(held)

    def require_unused(self, model: str, version: int) -> None:
        """Raise RolloutConflict where the rollout in force gives requests to a version, or may do so again."""
        held = self.current(model)
        if held is None or version not in _answering(held):
            return
        what = "end it first" if held.is_active else "start another one or release it first"
        raise RolloutConflict(f"version {version} of model '{model}' is served by the rollout '{held.id}'; {what}")

    def find(self, rollout_id: str) -> Rollout:
        """Return a rollout whose model is not known; raises RolloutNotFound."""
        for model in self.store.folders():
            if rollout_id in self.ids(model):
                return self.latest(model, rollout_id)
        raise RolloutNotFound("no model has a rollout of that name; GET /v1/rollouts lists them")

    def begin(self, model: str, make: Callable[[int], Rollout], secret: bytes) -> Rollout:
        """Write the first generation of the rollout that `make` gives for its serial; one writer at a time.

        Raises RolloutConflict while another one of the model is active, RolloutNotWritten.
        """
        with _writing(f"starting a rollout of '{model}'"), durable.locked(self.store.folder(model)):
            known = self.all(model)
            for other in known:
                if other.is_active:
                    msg = f"model '{model}' has the rollout '{other.id}' already: it is {other.state}; end it first"
                    raise RolloutConflict(msg)
            rollout = make(known[-1].serial + 1 if known else 1)
            folder = self.folder(model, rollout.id)
            durable.make_folder(folder / WORKERS)
            durable.create(folder / SECRET, secret[:SECRET_BYTES], 0o600)
            durable.create(folder / _name(1), document.dumps(rollout))
        self.store.touch()
        return rollout

    def change(self, rollout: Rollout, change: Change) -> Rollout:
        """Write what `change` makes of the newest generation, and return it; raises what `change` raises.

        Who loses the race for a number reads what the winner wrote and decides again.
        """
        folder = self.folder(rollout.model, rollout.id)
        with _writing(f"changing the rollout of '{rollout.model}'"):
            durable.collect(folder)
            durable.collect(folder / WORKERS)
            for _ in range(MOST_TRIES):
                following = change(self.latest(rollout.model, rollout.id))
                if durable.create(folder / _name(following.generation), document.dumps(following)):
                    self.store.touch()
                    return following
        raise RolloutConflict(f"rollout '{rollout.id}' is being changed by others all the time; try again")

    def secret(self, rollout: Rollout) -> bytes | None:
        """Return the secret that signs the prediction ids; None where this process may not read it."""
        try:
            return _read(self.folder(rollout.model, rollout.id) / SECRET)
        except (PermissionError, FileNotFoundError):
            return None


def _answering(held: Rollout | None) -> tuple[int, ...]:
    if held is None:
        return ()
    return (held.control, held.candidate) if held.is_active else (held.default,)


@contextlib.contextmanager
def _writing(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RolloutNotWritten(doing, error) from error


def _name(generation: int) -> str:
    return f"gen-{generation:08d}.json"


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(document.LARGEST + 1)
    if len(data) > document.LARGEST:
        raise RegistryError(f"'{path.name}' is larger than {document.LARGEST} bytes")
    return data
