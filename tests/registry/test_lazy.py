"""What is in memory: what answers by default or by a label, what was asked for, and no more than there is room for."""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlapi.errors import ModelNotReady
from mlapi.inference.values import Target
from mlapi.registry import handover, loading, residents, survey
from mlapi.registry.follower import Follower
from mlapi.registry.live import EAGER_MODELS, LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.registry.manifest import Manifest
from mlapi.registry.orders import Orders
from mlapi.registry.residents import LINGER_SECONDS
from mlapi.registry.store import Store
from mlapi.registry.supply import size_of

Add = Callable[..., Manifest]
LINE = Target("line")
MANY = 2000


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the versions that were read from disk, in order."""
    seen: list[tuple[str, int]] = []

    def load(store: Store, name: str, version: int, largest: int, *, plans: bool) -> LoadedModel:
        seen.append((name, version))
        return original(store, name, version, largest, plans=plans)

    original = loading.load
    monkeypatch.setattr(loading, "load", load)
    return seen


@pytest.fixture
def live(store: Store) -> LiveRegistry:
    """Return a registry that follows nothing until it is told to."""
    return LiveRegistry(store, poll_seconds=3600)


def in_memory(live: LiveRegistry, name: str = "line") -> list[int]:
    return [status.version for status in live.model(name).versions.values() if status.loaded is not None]


def later(live: LiveRegistry, seconds: float) -> None:
    """Turn the clock that versions linger by."""
    live._catalogue.residents._clock = lambda: threading.TIMEOUT_MAX + seconds
    live._catalogue.make_room(live._supply.size)


def test_only_what_answers_by_default_or_by_a_label_is_loaded_at_the_start(
    add: Add, live: LiveRegistry, store: Store, loads: list[tuple[str, int]],
) -> None:
    for _ in range(4):
        add()
    store.label("line", "stable", 2)
    live.preload()
    live.start()
    live.stop()
    assert loads == [("line", 2), ("line", 4)]
    assert in_memory(live) == [2, 4]
    assert live.model("line").ready == (1, 2, 3, 4), "all may be asked for"


def test_another_version_is_loaded_when_it_is_asked_for_and_then_at_hand(
    add: Add, live: LiveRegistry, loads: list[tuple[str, int]],
) -> None:
    add()
    add()
    live.refresh()
    assert live.ready(Target("line", 1)) is None
    assert live.get(Target("line", 1)).manifest.version == 1
    found = live.ready(Target("line", 1))
    assert found is not None
    assert live.get(Target("line", 1)) is found
    assert loads == [("line", 2), ("line", 1)]
    assert live.get(LINE).manifest.version == 2, "the default has not moved"


def test_a_version_that_is_expected_comes_by_itself_and_stays(
    add: Add, live: LiveRegistry, loads: list[tuple[str, int]],
) -> None:
    add()
    add()
    live.refresh()
    for unknown in (("lime", 1), ("line", 9)):
        live.expect(*unknown)
    live.expect("line", 1)
    live.expect("line", 1)
    found = live.get(Target("line", 1))
    assert live.ready(Target("line", 1)) is found
    live.expect("line", 1)
    assert loads == [("line", 2), ("line", 1)], "once"
    later(live, LINGER_SECONDS + 1)
    assert in_memory(live) == [1, 2]


def test_a_version_that_was_refused_is_not_expected(
    add: Add, live: LiveRegistry, store: Store, loads: list[tuple[str, int]],
) -> None:
    add()
    add()
    next(path for path in store.folder("line", 1).iterdir() if path.name.startswith("model.")).write_bytes(b"no model")
    live.refresh()
    with pytest.raises(ModelNotReady):
        live.get(Target("line", 1))
    before = len(loads)
    live.expect("line", 1)
    assert not live._arrivals._pending
    assert len(loads) == before


def test_nothing_waits_in_ready(live: LiveRegistry, add: Add, store: Store) -> None:
    add()
    add()
    store.label("line", "stable", 2)
    assert live.ready(LINE) is None
    live.refresh()
    for unknown in (Target("lime"), Target("line", 9), Target("line", label="none"), Target("line", 1)):
        assert live.ready(unknown) is None
    for known in (LINE, Target("line", 2), Target("line", label="stable")):
        assert live.ready(known) is not None


def test_a_version_is_loaded_once_however_many_ask(
    add: Add, live: LiveRegistry, loads: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch,
) -> None:
    add()
    add()
    live.refresh()
    go, original = threading.Event(), loading.load

    def slow(*arguments: Any, plans: bool) -> LoadedModel:
        go.wait(20)
        return original(*arguments, plans=plans)

    monkeypatch.setattr(loading, "load", slow)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(live.get, Target("line", 1)) for _ in range(8)]
        go.set()
        found = {id(each.result(20)) for each in asked}
    assert len(found) == 1
    assert loads.count(("line", 1)) == 1


def test_who_waits_too_long_is_told_and_the_version_arrives_all_the_same(
    add: Add, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch,
) -> None:
    add()
    add()
    live.refresh()
    go, original = threading.Event(), loading.load

    def slow(*arguments: Any, plans: bool) -> LoadedModel:
        go.wait(20)
        return original(*arguments, plans=plans)

    monkeypatch.setattr(loading, "load", slow)
    monkeypatch.setattr(live._arrivals, "_patience", 0.01)
    with pytest.raises(ModelNotReady, match="version 1 of model 'line' is not ready: it is being loaded"):
        live.get(Target("line", 1))
    monkeypatch.setattr(live._arrivals, "_patience", 20)
    go.set()
    assert live.get(Target("line", 1)).manifest.version == 1


def test_a_damaged_version_is_refused_when_it_is_first_asked_for_and_remembered(
    add: Add, live: LiveRegistry, tamper: SimpleNamespace, loads: list[tuple[str, int]], store: Store,
) -> None:
    add()
    add()
    good = (store.folder("line", 1) / "card.md").read_bytes()
    tamper.write("line", 1, "card.md", b"x")
    live.refresh()
    assert live.model("line").versions[1].state == "READY"
    for _ in range(3):
        with pytest.raises(ModelNotReady, match=r"version 1 of model 'line' is not ready: 'card\.md' has 1 bytes"):
            live.get(Target("line", 1))
        live.refresh()
    assert live.model("line").versions[1].state == "UNAVAILABLE"
    assert live.model("line").ready == (2,)
    assert loads.count(("line", 1)) == 1
    tamper.write("line", 1, "card.md", good)
    live.refresh()
    assert live.get(Target("line", 1)).manifest.version == 1


def test_where_the_newest_is_refused_the_one_below_is_loaded(
    add: Add, live: LiveRegistry, tamper: SimpleNamespace, loads: list[tuple[str, int]],
) -> None:
    for _ in range(4):
        add()
    for version in (3, 4):
        tamper.write("line", version, "model.joblib", b"x")
    live.preload()
    live.refresh()
    assert live.get(LINE).manifest.version == 2
    assert ("line", 1) not in loads
    assert live.model("line").ready == (1, 2)


def test_the_version_before_answers_until_the_one_below_a_deleted_default_is_loaded(
    add: Add, live: LiveRegistry, store: Store, monkeypatch: pytest.MonkeyPatch,
) -> None:
    add()
    add()
    live.refresh()
    store.delete("line", 2)
    seen = []
    original = loading.load

    def looking(*arguments: Any, plans: bool) -> LoadedModel:
        seen.append(live.get(LINE).manifest.version)
        return original(*arguments, plans=plans)

    monkeypatch.setattr(loading, "load", looking)
    live.refresh()
    assert seen == [2]
    assert live.get(LINE).manifest.version == 1


def test_in_a_registry_of_many_models_only_labelled_versions_are_loaded_before_they_are_asked_for(
    add: Add, live: LiveRegistry, store: Store, loads: list[tuple[str, int]],
) -> None:
    add()
    add()
    store.label("line", "stable", 1)
    for number in range(EAGER_MODELS):
        (store.root / f"other-{number}" / "1").mkdir(parents=True)
    live.preload()
    live.start()
    live.stop()
    assert loads == [("line", 1)]
    assert live.get(LINE).manifest.version == 2
    add()
    live.refresh()
    assert live.ready(LINE) is not None
    assert live.get(LINE).manifest.version == 3, "once asked for, a model is kept at hand"


# -- leaving ------------------------------------------------------------------------------------


def test_a_superseded_version_lingers_and_leaves(add: Add, live: LiveRegistry) -> None:
    for _ in range(3):
        add()
        live.refresh()
    assert in_memory(live) == [2, 3], "one lingers, the one before it has left at once"
    later(live, LINGER_SECONDS + 1)
    assert in_memory(live) == [3]
    assert live.get(Target("line", 1)).manifest.version == 1


def test_a_version_that_was_asked_for_by_its_number_stays_while_there_is_room(add: Add, live: LiveRegistry) -> None:
    add()
    live.refresh()
    live.get(Target("line", 1))
    add()
    live.refresh()
    later(live, LINGER_SECONDS + 1)
    assert in_memory(live) == [1, 2]


def test_the_least_recently_used_leaves_where_there_is_no_room(
    add: Add, store: Store, caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "mlapi.registry")
    add()
    size = size_of(loading.load(store, "line", 1))
    for _ in range(4):
        add()
    store.label("line", "stable", 1)
    live = LiveRegistry(store, poll_seconds=3600, room=4 * size + size // 2)
    live.refresh()
    live.get(Target("line", 2))
    live.get(Target("line", 3))
    held = live.get(Target("line", 2))
    assert in_memory(live) == [1, 2, 3, 5]
    live.get(Target("line", 4))
    assert in_memory(live) == [1, 2, 4, 5], "3 was used longest ago; what is labelled or default stays"
    left = [record for record in caplog.records if record.getMessage() == "version left memory"]
    assert [(record.__dict__["version"], record.__dict__["reason"]) for record in left] == [(3, "no room")]
    live.get(Target("line", 3))
    assert in_memory(live) == [1, 3, 4, 5]
    assert held.manifest.version == 2, "a request in hand keeps what it has"


def test_an_estimator_behind_a_plan_takes_room_once_it_is_loaded(add: Add, live: LiveRegistry) -> None:
    made = add()
    add()
    live.refresh()
    loaded = live.get(Target("line", 1))
    model = next(entry.size for entry in made.files if entry.name == "model.joblib")
    residents, weigh = live._catalogue.residents, live._supply.size
    assert loaded.planned is not None
    derived = loaded.planned.derived_bytes
    assert 0 < derived < 1000, "a few numbers, transposed"
    assert residents._bytes["line", 1] == made.size - model + derived
    live._catalogue.make_room(weigh)
    assert residents._bytes["line", 1] == made.size - model + derived
    assert loaded.predictor is not None  # as an explanation does
    live._catalogue.make_room(weigh)
    assert residents._bytes["line", 1] == made.size - model + derived + max(made.memory_bytes, made.size)
    residents.room = residents.size - 1
    live._catalogue.make_room(weigh)
    assert in_memory(live) == [2], "it was read for one that asked, and leaves with its version"


def test_the_token_is_another_after_every_change_and_only_then(add: Add, live: LiveRegistry, store: Store) -> None:
    def changed() -> bool:
        before = live.token
        live.refresh()
        return live.token != before

    add()
    assert changed()
    assert not changed(), "looking again changes nothing"
    add()
    assert changed()
    store.label("line", "stable", 2)
    assert changed()
    before = live.token
    live.get(Target("line", 1))
    assert live.token == before, "it lingers"
    later(live, LINGER_SECONDS + 1)
    live._catalogue.residents._asked.clear()
    live._catalogue.make_room(live._supply.size)
    assert (in_memory(live), live.token != before) == ([2], True)
    before = live.token
    live.get(Target("line", 1))
    assert live.token != before
    store.delete("line", 1)
    assert changed()


def test_what_must_answer_stays_also_where_it_does_not_fit(add: Add, store: Store) -> None:
    add()
    add()
    live = LiveRegistry(store, poll_seconds=3600, room=1)
    live.refresh()
    assert in_memory(live) == [2]
    assert live.get(Target("line", 1)).manifest.version == 1
    assert live.get(LINE).manifest.version == 2


def test_who_keeps_something_of_a_version_is_told_that_it_left(add: Add, live: LiveRegistry, store: Store) -> None:
    told: list[tuple[str, int]] = []
    live.left = told.append
    for _ in range(3):
        add()
        live.refresh()
    assert told == [("line", 1)]
    store.delete("line", 2)
    live.refresh()
    assert told == [("line", 1), ("line", 2)]


def test_half_of_the_memory_is_less_than_all_of_it() -> None:
    assert 0 < 2 * residents.half_of_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_limit_of_a_container_counts_where_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    limit.write_text("1048576\n")
    monkeypatch.setattr(residents, "CGROUP_LIMITS", (limit, none))
    assert residents.half_of_memory() == 2**19
    limit.write_text("max\n")
    assert residents.half_of_memory() > 2**19


# -- large versions -----------------------------------------------------------------------------


def test_a_large_version_is_left_to_new_workers_and_the_one_before_answers_meanwhile(
    add: Add, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "LARGE", 1)
    handed: list[tuple[str, int]] = []
    live.hand_over = handed.append
    add()
    live.start()
    live.stop()
    assert (handed, in_memory(live)) == ([], [1]), "a new worker loads what it finds"
    add()
    for _ in range(2):
        live.refresh()
    assert handed == [("line", 2)], "it is asked for once"
    assert live.get(LINE).manifest.version == 1
    assert live.model("line").versions[2].state == "LOADING"
    monkeypatch.setattr(handover, "HANDED_OVER_SECONDS", 0.0)
    live.refresh()
    assert live.get(LINE).manifest.version == 2, "nobody came"


def test_a_version_whose_large_plan_is_mapped_needs_no_new_workers(
    add: Add, store: Store, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "MAPPED_FROM", 1)
    for plans in (True, False):
        live = LiveRegistry(store, poll_seconds=3600, plans=plans)
        handed: list[tuple[str, int]] = []
        live.hand_over = handed.append
        add()
        live.start()
        live.stop()
        made = add()
        entries = {entry.name: entry.size for entry in made.files}
        own = made.size - entries["model.joblib"] + entries["plan.bin"]  # mapped, and transposed, with its rounding
        monkeypatch.setattr(handover, "LARGE", own + 1)
        live.refresh()
        assert handed == ([] if plans else [("line", made.version)])


def test_of_all_workers_one_asks_for_new_ones(tmp_path: Path, live: LiveRegistry) -> None:
    asked: list[str] = []
    for number in range(3):
        Follower(Orders(tmp_path), live).share(lambda: asked.append("again"))
        assert live.hand_over is not None
        live.hand_over(("line", 1 + number // 2))
    assert asked == ["again", "again"], "once a version"


def test_preloading_again_keeps_what_is_the_same_and_takes_up_what_is_new(
    add: Add, live: LiveRegistry, store: Store,
) -> None:
    add()
    store.label("line", "stable", 1)
    live.preload()
    first, = live.preloaded()
    add()
    live.preload()
    assert [loaded.manifest.version for loaded in live.preloaded()] == [1, 2]
    assert live.preloaded()[0] is first


# -- orders -------------------------------------------------------------------------------------


def test_an_order_to_load_brings_in_again_what_answers_and_what_was_loaded_and_nothing_else(
    add: Add, live: LiveRegistry, store: Store, monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(4):
        add()
    store.label("line", "stable", 1)
    live.refresh()
    live.get(Target("line", 2))
    checked = []
    original = loading.check

    def check(store: Store, name: str, version: int, largest: int) -> Any:
        checked.append(version)
        return original(store, name, version, largest)

    monkeypatch.setattr(loading, "check", check)
    before = live.get(LINE)
    assert live.obey(frozenset(), ["line"]) == {}
    assert checked == [1, 2, 4]
    assert live.get(LINE) is before, "its files are verified again; the same bytes are not parsed twice"


def test_an_unloaded_model_leaves_memory_and_comes_back_by_an_order(add: Add, live: LiveRegistry) -> None:
    add()
    add()
    live.refresh()
    live.obey(frozenset({"line"}))
    assert in_memory(live) == []
    with pytest.raises(ModelNotReady, match="unloaded"):
        live.get(LINE)
    with pytest.raises(ModelNotReady, match="unloaded"):
        live.get(Target("line", 1))
    assert live.obey(frozenset(), ["line"]) == {}
    assert in_memory(live) == [2]
    assert live.get(Target("line", 1)).manifest.version == 1


# -- many ---------------------------------------------------------------------------------------


@pytest.fixture
def many(add: Add, store: Store) -> Store:
    """Return a registry where one model has two versions that load and two thousand that nobody asks for."""
    add()
    for number in range(2, MANY):
        store.folder("line", number).mkdir()
    add()
    add("other")
    return store


def test_thousands_of_versions_are_known_and_none_is_read(many: Store, loads: list[tuple[str, int]]) -> None:
    live = LiveRegistry(many, poll_seconds=3600)
    live.preload()
    live.start()
    live.stop()
    assert loads == [("line", MANY), ("other", 1)]
    assert live.model("line").ready == tuple(range(1, MANY + 1))
    assert live.get(Target("line", 1)).manifest.version == 1
    with pytest.raises(ModelNotReady, match="version 7 of model 'line' is not ready: its manifest is missing"):
        live.get(Target("line", 7))


def test_a_change_of_one_model_does_not_read_the_folders_of_another(
    many: Store, add: Add, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survey, "SETTLED_NS", -(10**12))
    live = LiveRegistry(many, poll_seconds=3600)
    live.refresh()
    read: list[str] = []
    original = Store.versions

    def versions(store: Store, name: str) -> tuple[int, ...]:
        read.append(name)
        return original(store, name)

    add("other")
    monkeypatch.setattr(Store, "versions", versions)
    live._refresh(whole=False)
    assert read == ["other"]
    assert live.get(Target("other")).manifest.version == 2
