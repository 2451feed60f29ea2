"""The form of a named secret in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from scheduler_project.admin_auth_fields import KEEP, StoredSecretInput
from scheduler_project.admin_fields import LinesField
from scheduler_project.admin_forms import ServiceForm
from schedules.clock import database_now
from targets.masking import MASK
from targets.models import Secret
from targets.secret_services import create_secret, update_secret


class SecretForm(ServiceForm[Secret]):
    """A named secret; its value comes masked and stays as it is unless it is changed."""

    needed = ("name",)
    value = forms.CharField(
        widget=StoredSecretInput(),
        required=False,
        strip=False,
        help_text=f"{KEEP} Or leave it empty and give a reference.",
    )
    allowed_hosts = LinesField(
        required=False,
        label="Allowed hosts",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 50, "class": "code"}),
        help_text="The only hosts that it may be sent to, one per line. Empty: whoever may edit targets may send it "
        "anywhere.",
    )

    class Meta:
        model = Secret
        fields = ("name", "value", "reference", "allowed_hosts")
        widgets = {
            "name": forms.TextInput(attrs={"size": 40, "class": "code"}),
            "reference": forms.TextInput(attrs={"size": 60, "class": "code"}),
        }
        help_texts = {
            "name": "Targets write {{secret.NAME}} in headers, query, body and credentials.",
            "reference": "env:NAME or file:PATH, read by the worker when it is sent. The settings SECRETS_ENV_PREFIX "
            "and SECRETS_DIR say which can be.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["allowed_hosts"].required = False
        self.initial["value"] = self.as_initial("value", self.instance.value)

    def as_initial(self, name: str, value: Any) -> Any:
        """The value is shown masked."""
        return ("" if value is None else MASK) if name == "value" else value

    def values(self) -> dict[str, Any]:
        """No line at all is an empty list of hosts."""
        values = super().values()
        return {**values, "allowed_hosts": values["allowed_hosts"] or []} if "allowed_hosts" in values else values

    def write(self, values: Mapping[str, Any]) -> Secret:
        """Create or change the secret."""
        if self.is_new:
            return create_secret(fields=values, now=database_now())
        return update_secret(secret_id=self.instance.pk, changes=values, now=database_now())
