"""What a process serves at one moment: an immutable value that is swapped whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from mlapi.inference.values import Target
from mlapi.registry.loading import LoadedModel
from mlapi.registry.residents import Key
from mlapi.registry.status import ModelStatus, VersionStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The models by name, the version of each that answers by default, and the registry's HEAD it belongs to."""

    head: bytes = b""
    models: Mapping[str, ModelStatus] = field(default_factory=dict)
    default: Mapping[str, LoadedModel] = field(default_factory=dict)

    def loaded(self, target: Target) -> LoadedModel | None:
        """Return the model that `target` means where it is in memory."""
        version = target.version
        if version is None and target.label is None:
            return self.default.get(target.model)
        model = self.models.get(target.model)
        if model is None:
            return None
        if target.label is not None:
            version = model.labels.get(target.label)
        status = None if version is None else model.versions.get(version)
        return None if status is None else status.loaded

    def status(self, key: Key) -> VersionStatus | None:
        """Return the status of a version, None where it is not here."""
        model = self.models.get(key[0])
        return None if model is None else model.versions.get(key[1])

    def is_pinned(self, key: Key) -> bool:
        """Tell whether a version answers by default or by a label."""
        default, model = self.default.get(key[0]), self.models.get(key[0])
        return (default is not None and default.manifest.version == key[1]) or (
            model is not None and key[1] in model.labels.values()
        )

    def changed(self, head: bytes, models: Mapping[str, ModelStatus]) -> Self:
        """Return the snapshot of `models`: what answered by default does so until a newer one is in memory."""
        default = {}
        for name, model in models.items():
            held = self.default.get(name)
            answers = held if model is self.models.get(name) else _answering(model, held)
            if answers is not None:
                default[name] = answers
        return replace(self, head=head, models=models, default=default)

    def without(self, keys: Iterable[Key]) -> Self:
        """Return the snapshot with these versions on disk only; none of them is pinned."""
        models = dict(self.models)
        for name, version in keys:
            versions = {**models[name].versions, version: VersionStatus(version, "READY")}
            models[name] = replace(models[name], versions=versions)
        return replace(self, models=models)


def _answering(model: ModelStatus, held: LoadedModel | None) -> LoadedModel | None:
    """The newest version that is not refused, or until that is in memory what answered before; None without any."""
    for status in reversed(list(model.versions.values())):
        if status.state != "UNAVAILABLE":
            return status.loaded or held
    return None
