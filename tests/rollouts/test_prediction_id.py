"""Prediction ids: they say what they are of, and only what this registry signed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest
from mlapi.rollouts import prediction_id
from mlapi.rollouts.prediction_id import Prediction

SECRET = bytes(range(32))
ONE = Prediction(1_700_000_000_123, prediction_id.tag_of("ro_test"), 3, "candidate", "control", "key", 2**63 + 5)


def test_an_id_says_what_was_signed() -> None:
    text = prediction_id.sign(ONE, SECRET)
    assert len(text) == 47
    assert prediction_id.read(text, "ro_test", SECRET) == ONE
    assert prediction_id.rollout_tag(text) == ONE.rollout


@given(st.integers(0, 2**48 - 1), st.integers(0, 255), st.sampled_from(["control", "candidate", "pinned"]),
       st.sampled_from([("control", "key"), ("candidate", "request")]), st.integers(0, 2**64 - 1))  # fmt: skip
def test_every_prediction_survives(at: int, step: int, arm: str, other: tuple[str, str], hashed: int) -> None:
    one = Prediction(at, ONE.rollout, step, arm, *other, hashed)
    assert prediction_id.read(prediction_id.sign(one, SECRET), "ro_test", SECRET) == one


def test_ids_sort_by_time_and_differ_within_a_millisecond() -> None:
    texts = [prediction_id.sign(replace(ONE, at_ms=ONE.at_ms + later), SECRET) for later in range(0, 10**10, 10**8)]
    raw = [prediction_id._decoded(text) for text in texts]
    assert raw == sorted(raw)
    assert prediction_id.sign(ONE, SECRET) != prediction_id.sign(ONE, SECRET)


@given(st.integers(0, 46), st.sampled_from("ABCabc012-_"))
def test_one_changed_character_is_refused(at: int, character: str) -> None:
    text = prediction_id.sign(ONE, SECRET)
    forged = text[:at] + character + text[at + 1 :]
    if forged == text:
        return
    with pytest.raises(InvalidRequest, match=r"signature is wrong|another rollout|is none"):
        prediction_id.read(forged, "ro_test", SECRET)


@pytest.mark.parametrize("text", ["", "x", "x" * 46, "x" * 48, "ü" * 47, "=" * 47, "!" * 47])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="the prediction id is none; expected 47 characters"):
        prediction_id.read(text, "ro_test", SECRET)


def test_an_id_of_another_registry_or_rollout_is_refused() -> None:
    text = prediction_id.sign(ONE, SECRET)
    with pytest.raises(InvalidRequest, match="not given by this registry"):
        prediction_id.read(text, "ro_test", SECRET[::-1])
    with pytest.raises(InvalidRequest, match="belongs to another rollout"):
        prediction_id.read(text, "ro_other", SECRET)


def test_a_step_beyond_a_byte_is_the_last_that_fits() -> None:
    assert prediction_id.read(prediction_id.sign(replace(ONE, step=1000), SECRET), "ro_test", SECRET).step == 255
