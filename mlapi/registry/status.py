"""The states of versions and models, as a worker sees them: immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlapi.errors import LabelNotFound, VersionNotFound
from mlapi.registry.loading import LoadedModel

State = Literal["LOADING", "READY", "UNAVAILABLE"]
UNLOADED = "unloaded"
"""The reason of a version whose model was taken out of service by an order."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version of one model: whether it answers, why not, and the model where it is in memory.

    READY without a model is on disk, and is loaded when it is asked for.
    """

    version: int
    state: State
    reason: str = ""
    loaded: LoadedModel | None = None
    fingerprint: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model: its versions ascending, its labels, and the version that an unversioned request gets."""

    name: str
    versions: Mapping[int, VersionStatus]
    labels: Mapping[str, int]

    @property
    def ready(self) -> tuple[int, ...]:
        """The versions that answer now, ascending."""
        return tuple(n for n, status in self.versions.items() if status.state == "READY")

    def require(self, version: int) -> VersionStatus:
        """Return the status of a version; VersionNotFound where the model has none such."""
        if version not in self.versions:
            raise VersionNotFound(self.name, str(version), tuple(self.versions))
        return self.versions[version]

    def labelled(self, label: str) -> int:
        """Return the version that a label points to; LabelNotFound where the model has none such."""
        if label not in self.labels:
            raise LabelNotFound(self.name, label, tuple(self.labels))
        return self.labels[label]
