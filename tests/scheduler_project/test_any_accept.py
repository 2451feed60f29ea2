from __future__ import annotations

from rest_framework.parsers import FormParser, JSONParser
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from scheduler_project.any_accept import AnyAccept

REQUEST = Request(APIRequestFactory().post("/", HTTP_ACCEPT="text/html", content_type="text/csv"))


def test_it_takes_the_first_renderer_whatever_is_accepted() -> None:
    renderer = JSONRenderer()
    assert AnyAccept().select_renderer(REQUEST, [renderer, BrowsableAPIRenderer()]) == (renderer, "application/json")


def test_it_takes_the_first_parser_whatever_was_sent() -> None:
    parser = JSONParser()
    assert AnyAccept().select_parser(REQUEST, [parser, FormParser()]) is parser
