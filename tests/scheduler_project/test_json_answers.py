"""Answers that always render."""

from __future__ import annotations

import json

from scheduler_project.json_answers import AnswerRenderer


def test_text_is_sent_as_it_is() -> None:
    assert AnswerRenderer().render({"name": "Käse"}) == '{"name":"Käse"}'.encode()


def test_half_a_surrogate_pair_does_not_break_the_list() -> None:
    body = AnswerRenderer().render([{"a\ud800": ["x\udfff", ("fine",), 1, None]}, "Käse"])
    assert json.loads(body) == [{"a?": ["x?", ["fine"], 1, None]}, "Käse"]
