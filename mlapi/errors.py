"""Every exception mlapi raises on purpose.

    MlapiError
    ├── InvalidRequest              what a caller sent cannot be used; carries every fault found
    │   └── SignatureMismatch       well-formed, but not what this model version takes
    ├── UnsupportedMediaType        content type that no reader exists for
    │   └── UnsupportedEncoding     content encoding that no reader exists for
    ├── BodyTooLarge                a body beyond the limit, on the wire or inflated
    ├── NotFound
    │   ├── ModelNotFound
    │   ├── VersionNotFound
    │   ├── LabelNotFound
    │   └── RolloutNotFound
    ├── RolloutConflict             what a rollout is asked does not fit the state it is in
    ├── ReplayFailed                a version did not pass the replay of logged requests
    ├── ModelNotReady               known, but no version of it can answer now
    ├── VerbNotSupported            the model cannot do what the path asks for
    ├── NotExplainable              nothing here can say why this model answers as it does
    ├── ModelRefusedInput           the model itself raised ValueError on the values
    ├── ModelFailed                 the model raised anything else
    │   ├── GivenUp                 it did not answer within the server's deadline
    │   └── InvalidAnswer           an answer that the signature or its schema does not allow
    ├── RegistryError
    │   ├── RegistryGone            a registry that was there and cannot be reached now
    │   ├── InvalidName             a name, version or label outside the grammar
    │   ├── VersionRefused          a version that is not loaded, with the reason (quarantine)
    │   ├── VersionInUse            a label points to it
    │   ├── PublishRefused          the model cannot become a version
    │   └── StorageFailed           the operating system refused to write
    │       └── RolloutNotWritten   a rollout, which is the operator's to mend
    ├── TrainingError               data, target or options that nothing can be learned from
    ├── ConfigError                 a setting that is unknown or has no valid value
    └── ServerUnreachable           the client could not talk to a server, or not understand it

None of them knows HTTP: `mlapi.resources.errors` maps classes to statuses, `mlapi.cli.main` to exit
codes. Messages are one sentence, safe to show to a caller, and never repeat values that were sent.
"""

from collections.abc import Sequence

MOST_FAULTS = 20
"""How many faults one answer names; beyond them it only counts."""


class MlapiError(Exception):
    """The base of all of them; `str()` is the sentence for a person."""


class InvalidRequest(MlapiError):
    """The request cannot be understood; `faults` names what is wrong, the first twenty of `total`."""

    def __init__(self, faults: Sequence[str], total: int | None = None) -> None:
        self.faults = tuple(faults[:MOST_FAULTS])
        self.total = len(faults) if total is None else total
        super().__init__(_sentence(self.faults, self.total))


class SignatureMismatch(InvalidRequest):
    """The request is well-formed but does not fit the signature of the version it asks."""


class UnsupportedMediaType(MlapiError):
    """No reader exists for this content type."""


class UnsupportedEncoding(UnsupportedMediaType):
    """No reader exists for this content encoding."""


class BodyTooLarge(MlapiError):
    """The body is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the body is larger than the limit of {limit} bytes")


class NotFound(MlapiError):
    """What was asked for by name is not in the registry."""


class ModelNotFound(NotFound):
    """No version of a model of this name exists; `nearest` is a known name that looks alike."""

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean '{nearest}'?" if nearest else ""
        super().__init__(f"model '{name}' is unknown{hint}")


class VersionNotFound(NotFound):
    """The model exists, this version of it does not."""

    def __init__(self, name: str, version: str, known: Sequence[int] = ()) -> None:
        self.name = name
        self.version = version
        self.known = tuple(known)
        newest = f"; the newest is {self.known[-1]}" if self.known else ""
        super().__init__(f"model '{name}' has no version '{version}'{newest}")


class LabelNotFound(NotFound):
    """The model exists, this label of it does not."""

    def __init__(self, name: str, label: str, known: Sequence[str] = ()) -> None:
        self.name = name
        self.label = label
        self.known = tuple(known)
        labels = f"; its labels are {', '.join(self.known)}" if self.known else "; it has no labels"
        super().__init__(f"model '{name}' has no label '{label}'{labels}")


class RolloutNotFound(NotFound):
    """No rollout of this name, or none of this model."""


class RolloutConflict(MlapiError):
    """What was asked does not fit the state a rollout is in, or another rollout is in the way."""


class ReplayFailed(MlapiError):
    """A version did not answer logged requests within the limits; `faults` says each that it broke.

    Where it `hangs`, a thread of this process waits for its answer still.
    """

    def __init__(self, name: str, version: int, faults: Sequence[str], *, hangs: bool = False) -> None:
        self.name = name
        self.version = version
        self.faults = tuple(faults)
        self.hangs = hangs
        super().__init__(f"version {version} of model '{name}' did not pass the replay: {'; '.join(self.faults)}")


class ModelNotReady(MlapiError):
    """The model or version is known, but nothing of it can answer now."""

    def __init__(self, name: str, version: int | None, reason: str) -> None:
        self.name = name
        self.version = version
        self.reason = reason
        which = f"version {version} of model '{name}'" if version else f"model '{name}'"
        super().__init__(f"{which} is not ready: {reason}")


class VerbNotSupported(MlapiError):
    """The model cannot do what was asked, such as probabilities from a regressor."""


class NotExplainable(MlapiError):
    """No explainer exists for the model, or what it needs is not installed."""


class ModelRefusedInput(MlapiError):
    """The model raised ValueError on the values; the sentence is the model's own, one line."""


class ModelFailed(MlapiError):
    """The model raised something else than ValueError; the detail is for the log alone."""


class GivenUp(ModelFailed):
    """The server's deadline passed while the model was computing; told to those who watch, the caller has a 504."""


class InvalidAnswer(ModelFailed):
    """An answer that the signature or the answer's own schema does not allow; the detail is for the log alone."""


class RegistryError(MlapiError):
    """Something about the registry's files."""


class RegistryGone(RegistryError):
    """The registry was there, and now its folder is missing or has no HEAD: its disk is not mounted, most likely."""

    def __init__(self) -> None:
        super().__init__("the registry cannot be reached: its folder had a HEAD and has none now; is its disk mounted?")


class InvalidName(RegistryError):
    """A name, version or label is outside the grammar."""


class VersionRefused(RegistryError):
    """A version is not loaded, because a check before or after parsing failed."""

    def __init__(self, name: str, version: int, reason: str) -> None:
        self.name = name
        self.version = version
        self.reason = reason
        super().__init__(f"version {version} of model '{name}' is refused: {reason}")


class VersionInUse(RegistryError):
    """A version cannot go while labels point to it."""

    def __init__(self, name: str, version: int, labels: Sequence[str]) -> None:
        self.name = name
        self.version = version
        self.labels = tuple(labels)
        super().__init__(
            f"version {version} of model '{name}' carries the label {', '.join(self.labels)}; "
            "move or remove the label first",
        )


class PublishRefused(RegistryError):
    """The model cannot become a version; the sentence says why and what to do."""


class StorageFailed(RegistryError):
    """The operating system refused a write; carries its errno text."""

    def __init__(self, doing: str, error: OSError) -> None:
        self.errno = error.errno
        super().__init__(f"{doing} failed: {error.strerror or type(error).__name__}")


class RolloutNotWritten(StorageFailed):
    """A rollout cannot be written: the registry is read-only for this process, or the disk is full."""


class TrainingError(MlapiError):
    """The data, the target or the options cannot be trained on."""


class ConfigError(MlapiError):
    """A setting is unknown or its value is not valid."""


class ServerUnreachable(MlapiError):
    """A server did not answer, or not in a way the client understands."""


def _sentence(faults: Sequence[str], total: int) -> str:
    if total == 1:
        return faults[0]
    listed = "; ".join(f"({i}) {fault}" for i, fault in enumerate(faults, 1))
    more = f"; and {total - len(faults)} more" if total > len(faults) else ""
    return f"{total} faults: {listed}{more}"
