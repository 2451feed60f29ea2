"""What a refused target says."""

from __future__ import annotations

from targets.errors import InvalidFields


def test_it_names_every_field_with_its_sentence() -> None:
    refusal = InvalidFields({"name": "The name is empty.", "url": "The URL has no host."})
    assert refusal.errors == {"name": "The name is empty.", "url": "The URL has no host."}
    assert str(refusal) == "name: The name is empty. url: The URL has no host."
