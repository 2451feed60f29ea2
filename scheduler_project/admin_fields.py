"""Form fields that give back exactly what they were given: texts with their blanks, headers as lines."""

from __future__ import annotations

from typing import Any

from django import forms


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


class ExactTextField(forms.CharField):
    """Text whose blanks count. Browsers send every line end as CRLF: that alone is no change."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def to_python(self, value: Any) -> str:
        """The text with plain line ends."""
        return _unix_lines(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether more than line ends differ."""
        return _unix_lines(initial or "") != _unix_lines(data or "")


class HeadersField(forms.CharField):
    """Headers, one `Name: value` per line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Headers as lines; what a user typed as it is."""
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> dict[str, str]:  # type: ignore[override]
        """The headers by name.

        Raises:
            forms.ValidationError: a line has no colon, or a name stands there twice.
        """
        headers: dict[str, str] = {}
        for number, line in enumerate(_unix_lines(super().to_python(value) or "").split("\n"), start=1):
            name, colon, text = (part.strip() for part in line.partition(":"))
            if not line.strip():
                continue
            if not colon or not name:
                raise forms.ValidationError(f"Line {number} is not a header. Write it as Name: value.")
            if name in headers:
                raise forms.ValidationError(f"{name} stands there twice. Keep one of them.")
            headers[name] = text
        return headers

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other headers are meant."""
        try:
            return self.to_python(data) != self.to_python(self.prepare_value(initial))
        except forms.ValidationError:
            return True


class LinesField(forms.CharField):
    """A list of texts, one per line; blank lines don't count."""

    def prepare_value(self, value: Any) -> Any:
        """The texts as lines; what a user typed as it is."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """The texts."""
        lines = _unix_lines(super().to_python(value) or "").split("\n")
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other texts are meant."""
        return self.to_python(data) != (initial or [])
