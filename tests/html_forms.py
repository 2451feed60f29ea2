"""What a browser would send for a form of a page that nobody touched."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

Attributes = dict[str, str | None]


def form_data(html: str, form_id: str) -> dict[str, str]:
    """The values of the form's fields by name; line ends of texts as CRLF, as browsers send them."""
    reader = _FormReader(form_id)
    reader.feed(html)
    assert reader.found, f"no form {form_id} on the page"
    return reader.values


class _FormReader(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__(convert_charrefs=True)
        self.form_id = form_id
        self.found = self.inside = False
        self.values: dict[str, str] = {}
        self._textarea = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: Attributes = dict(attrs)
        if tag == "form":
            self.inside = given.get("id") == self.form_id
            self.found = self.found or self.inside
        elif self.inside:
            getattr(self, f"_start_{tag}", self._nothing)(given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        if tag == "textarea" and self._textarea:
            text = self.values[self._textarea].removeprefix("\n")
            self.values[self._textarea] = text.replace("\r\n", "\n").replace("\n", "\r\n")
            self._textarea = ""
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data

    def _nothing(self, given: Attributes) -> None:
        """Tags that send nothing."""

    def _start_input(self, given: Attributes) -> None:
        kind, name = given.get("type"), given.get("name")
        if not name or kind == "submit" or (kind in ("checkbox", "radio") and "checked" not in given):
            return
        self.values[name] = given.get("value") or ("on" if kind == "checkbox" else "")

    def _start_textarea(self, given: Attributes) -> None:
        self._textarea = str(given["name"])
        self.values[self._textarea] = ""

    def _start_select(self, given: Attributes) -> None:
        # Of a list with several choices a browser sends what is chosen, by default nothing.
        self._select = "" if "multiple" in given else str(given["name"])

    def _start_option(self, given: Attributes) -> None:
        if self._select and ("selected" in given or self._select not in self.values):
            self.values[self._select] = given.get("value") or ""


def errors_of(response: Any) -> dict[str, list[str]]:
    """The messages of an admin form by field; `__all__` for those of the whole."""
    assert response.status_code == 200, response.status_code
    return {
        name: [str(error) for error in errors] for name, errors in response.context["adminform"].form.errors.items()
    }
