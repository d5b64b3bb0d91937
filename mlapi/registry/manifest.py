"""The manifest of a version: what its files are, what it takes and answers, and where it came from.

Format 1. Rule for raising it: a reader of format N must refuse a manifest that it would misread, so
the number rises when a member changes its meaning or a new one must not be ignored; a new member that
old readers may ignore does not raise it, and old readers keep it out of the value.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.registry.names import LARGEST_VERSION, NAME
from mlapi.runtimes.predictor import Feed

FORMAT = 1
FILE = "manifest.json"
DIGEST = "sha256"  # the member that holds the digest of the canonical JSON of all others
LARGEST = 64 * 1024
FILES = ("model.joblib", "model.skops", "model.onnx", "plan.json", "plan.bin", "reference.npz", "card.md")
FEEDS = ("array", "frame", "objects", "tensors")
_HEX = r"[0-9a-f]{64}"


class ManifestError(Exception):
    """The bytes are not a manifest of a format this reader knows; says what is wrong."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a version: its name, bytes and digest."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, data: bytes) -> Self:
        """Return the entry that describes `data`."""
        return cls(name, len(data), hashlib.sha256(data).hexdigest())

    def fits(self, data: "bytes | memoryview") -> bool:
        """Tell whether `data` are the bytes that were described."""
        return len(data) == self.size and hashlib.sha256(data).hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version, described; immutable as the version is. Sizes are bytes, times RFC 3339 in UTC."""

    name: str
    version: int
    runtime: str
    feed: Feed
    files: tuple[FileEntry, ...]
    signature: Signature
    classes: tuple[str | int | bool, ...] | None
    estimator: str
    libraries: Mapping[str, str]
    memory_bytes: int
    published_at: str
    publisher: str
    parent: int | None = None
    code_revision: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    intended_use: str = ""
    limits: tuple[str, ...] = ()

    def file(self, name: str) -> FileEntry:
        """Return the entry of a file; KeyError where the version has none of that name."""
        for entry in self.files:
            if entry.name == name:
                return entry
        raise KeyError(name)

    @property
    def size(self) -> int:
        """Bytes of all files the manifest lists."""
        return sum(entry.size for entry in self.files)


def dumps(manifest: Manifest) -> bytes:
    """Return the canonical JSON of a manifest: keys sorted, no spaces, UTF-8, one newline at the end.

    Raises ManifestError where it would exceed 64 kB or hold a number that JSON has no form for, UnicodeEncodeError on
    text that UTF-8 has no form for.
    """
    document = asdict(manifest)
    try:
        data = sealed({"format": FORMAT, **document})
    except UnicodeEncodeError:  # a ValueError too, and another sentence
        raise
    except ValueError as error:
        msg = "a metric or parameter is not a finite number"
        raise ManifestError(msg) from error
    if len(data) > LARGEST:
        most = max(document, key=lambda key: len(canonical({key: document[key]})))
        msg = f"it would take {len(data)} bytes; the limit is {LARGEST}, and its '{most}' takes most of them"
        raise ManifestError(msg)
    return data


def loads(data: bytes) -> Manifest:
    """Return the manifest that `data` holds.

    Raises ManifestError on more than 64 kB, JSON that is not strict (duplicate keys, NaN), a format
    other than 1, any byte that is not as written, and every member that does not fit the schema.
    """
    if len(data) > LARGEST:
        msg = f"the manifest has {len(data)} bytes; the limit is {LARGEST}"
        raise ManifestError(msg)
    try:
        document = strict_json(data)
    except ValueError as error:
        msg = f"the manifest is not strict JSON: {error}"
        raise ManifestError(msg) from error
    found = document.get("format") if isinstance(document, dict) else None
    if type(found) is not int or found != FORMAT:
        msg = f"the manifest has format {found!r}; this mlapi reads format {FORMAT}"
        raise ManifestError(msg)
    if not _as_written(document, data):
        msg = f"the manifest is not as it was written: its {DIGEST} differs"
        raise ManifestError(msg)
    try:
        return _SCHEMA.load(document)  # type: ignore[no-any-return]
    except ValidationError as error:
        msg = f"the manifest does not fit its schema: {_first(error.messages)}"
        raise ManifestError(msg) from error


def sealed(document: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of a document with its own digest in it; ValueError on NaN or Infinity."""
    return canonical({**document, DIGEST: hashlib.sha256(canonical(document)).hexdigest()})


def _as_written(document: Mapping[str, Any], data: bytes) -> bool:
    try:
        return sealed({key: value for key, value in document.items() if key != DIGEST}) == data
    except (ValueError, RecursionError):
        return False


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys, no spaces, UTF-8 and a newline; ValueError on NaN or Infinity."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def strict_json(data: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Return decoded UTF-8 JSON; ValueError on duplicate keys, on NaN or Infinity, and on deep nesting."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_finite)
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise ValueError(msg) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        msg = "a key stands twice in one object"
        raise ValueError(msg)
    return result


def _finite(token: str) -> float:
    msg = f"{token} is no JSON number"
    raise ValueError(msg)


def _first(messages: Any, path: str = "") -> str:  # noqa: ANN401 (marshmallow's nested messages)
    while isinstance(messages, dict) and messages:
        key = next(iter(messages))
        path, messages = f"{path}.{key}" if path else str(key), messages[key]
    return f"{path}: {messages[0] if isinstance(messages, list) else messages}"


class _Flag(fields.Boolean):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if not isinstance(value, bool):  # a plain Boolean takes "yes" and 1 too
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class _Number(fields.Float):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if isinstance(value, bool | str):  # a plain Float takes "1.5" and true too
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class _Whole(fields.Integer):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if type(value) is not int:  # a plain Integer takes "1", 1.5 and true too
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class _Class(fields.Raw):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if not isinstance(value, str | int | float):  # what numpy's tolist() makes of class labels
            raise self.make_error("validator_failed")
        return super()._deserialize(value, *args, **kwargs)


class _Base(Schema):
    class Meta:
        unknown = EXCLUDE


class _FileSchema(_Base):
    name = fields.String(required=True, validate=validate.OneOf(FILES))
    size = _Whole(required=True, validate=validate.Range(min=1))
    sha256 = fields.String(required=True, validate=validate.Regexp(rf"\A{_HEX}\Z"))

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> FileEntry:
        return FileEntry(**data)


class _TensorSchema(_Base):
    name = fields.String(required=True, validate=validate.Length(1, 256))
    datatype = fields.String(required=True, validate=validate.OneOf(tuple(NUMPY_TYPES)))
    shape = fields.List(_Whole(), required=True, validate=validate.Length(2, 2))
    nullable = _Flag(required=True)
    categories = fields.List(fields.String(), required=True, allow_none=True)
    unseen = fields.String(required=True, validate=validate.OneOf(("refuse", "accept")))
    minimum = _Number(required=True, allow_none=True)
    maximum = _Number(required=True, allow_none=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> TensorSpec:
        known = data.pop("categories")
        shape = tuple(data.pop("shape"))
        return TensorSpec(**data, shape=shape, categories=None if known is None else tuple(known))


class _SignatureSchema(_Base):
    form = fields.String(required=True, validate=validate.OneOf(("matrix", "columns")))
    inputs = fields.List(fields.Nested(_TensorSchema), required=True, validate=validate.Length(min=1))
    outputs = fields.List(fields.Nested(_TensorSchema), required=True, validate=validate.Length(min=1))
    features = fields.List(fields.String(), required=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Signature:
        return Signature(data["form"], tuple(data["inputs"]), tuple(data["outputs"]), tuple(data["features"]))


class _ManifestSchema(_Base):
    name = fields.String(required=True, validate=validate.Regexp(rf"\A(?:{NAME.pattern})\Z"))
    version = _Whole(required=True, validate=validate.Range(1, LARGEST_VERSION))
    runtime = fields.String(required=True, validate=validate.OneOf(("joblib", "skops", "onnx")))
    feed = fields.String(required=True, validate=validate.OneOf(FEEDS))
    files = fields.List(fields.Nested(_FileSchema), required=True, validate=validate.Length(2, len(FILES)))
    signature = fields.Nested(_SignatureSchema, required=True)
    classes = fields.List(_Class(), required=True, allow_none=True)
    estimator = fields.String(required=True)
    libraries = fields.Dict(fields.String(), fields.String(), required=True)
    memory_bytes = _Whole(required=True)
    published_at = fields.String(required=True)
    publisher = fields.String(required=True)
    parent = _Whole(required=True, allow_none=True)
    code_revision = fields.String(required=True, allow_none=True)
    metrics = fields.Dict(fields.String(), _Number(), required=True)
    parameters = fields.Dict(fields.String(), required=True)
    training = fields.Dict(fields.String(), required=True)
    data = fields.Dict(fields.String(), required=True)
    note = fields.String(required=True)
    intended_use = fields.String(required=True)
    limits = fields.List(fields.String(), required=True)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> Manifest:
        known = data.pop("classes")
        files, limits = tuple(data.pop("files")), tuple(data.pop("limits"))
        return Manifest(**data, files=files, limits=limits, classes=None if known is None else tuple(known))


_SCHEMA = _ManifestSchema()
