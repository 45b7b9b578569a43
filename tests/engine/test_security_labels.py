"""An image's LABELs come with every container of its build: forged ones of ours change nothing."""

from __future__ import annotations

import uuid

from tests.engine.build_fixtures import BASE
from workers.building import room
from workers.engine import LABEL_INSTANCE, LABEL_TAG, Engine, attempt_labels


def test_a_forged_instance_does_not_hide_a_builds_container(engine: Engine, instance: str) -> None:
    mine = attempt_labels(instance, "h", "one")
    place = engine.run_container(BASE, labels={**mine, "slipway.role": room.ROLE}, command=["sleep", "60"])
    forged = engine.client.containers.create(
        BASE, ["sleep", "60"], network_mode=f"container:{place.id}",
        labels={LABEL_INSTANCE: "another", "slipway.attempt": "held"},
    )  # fmt: skip
    try:
        assert [thing.id for thing in engine.joined({str(place.id)})] == [forged.id]
        assert [(thing.id, thing.attempt) for thing in engine.owned(instance)] == [
            (forged.id, "one"), (place.id, "one"),
        ]  # fmt: skip
        assert engine.remove_attempt(instance, "one") == 2
    finally:
        engine.remove_container(str(forged.id))


def test_a_forged_tag_takes_no_image_with_it(engine: Engine, instance: str) -> None:
    name = f"slipway.local/security-{uuid.uuid4().hex[:12]}"
    engine.api.tag(BASE, name, "1")
    mine = attempt_labels(instance, "h", "one")
    try:
        place = engine.run_container(BASE, labels=mine, command=["sleep", "60"])
        engine.client.containers.create(
            BASE, ["true"], network_mode=f"container:{place.id}", labels={**mine, LABEL_TAG: f"{name}:1"}
        )
        assert engine.remove_attempt(instance, "one") == 2
        assert engine.has_image(f"{name}:1")
    finally:
        engine.remove_image(f"{name}:1")


def test_a_container_whose_holder_is_gone_is_still_ours(engine: Engine, instance: str) -> None:
    mine = attempt_labels(instance, "h", "one")
    holder = engine.run_container(BASE, labels=mine, command=["sleep", "60"])
    subject = engine.create_container(BASE, labels=mine, command=["true"], network_mode=f"container:{holder.id}")
    engine.remove_container(str(holder.id))
    assert [thing.id for thing in engine.owned(instance)] == [subject.id]
    engine.remove_attempt(instance, "one")
