"""The list of mutations keeps up with the sources: what each takes out is still there, and something must notice."""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import Any

import pytest

from tests.chaos import mutations
from tests.chaos.bite import EXPECTED
from tests.chaos.history import History
from tests.chaos.invariants import INVARIANTS
from tests.chaos.plan import PLANS


@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_what_a_mutation_takes_out_is_still_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def only_look(place: str, _replacement: Any) -> Any:
        module, _, path = place.partition(":")
        found.append(place)
        return attrgetter(path)(import_module(module))

    monkeypatch.setattr(mutations, "put", only_look)
    mutations.install(name)
    assert found


def test_each_mutation_has_a_plan_that_meets_it_and_an_invariant_that_must_notice() -> None:
    invariants = {invariant(History()).name for invariant in INVARIANTS}
    assert EXPECTED.keys() == mutations.MUTATIONS.keys()
    assert {plan for plan, _ in EXPECTED.values()} <= PLANS.keys()
    assert {name for _, name in EXPECTED.values()} <= invariants
