"""The admin's login form: the same way in as POST /auth/token, with the same lock-out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.utils import timezone

from access.lockout import LockedOut
from access.sign_in import WrongCredentials, sign_in


class LoginForm(AdminAuthenticationForm):
    """Django's own, but for who judges the password. `retry_after`: seconds, for those who are locked out."""

    retry_after = 0

    def clean(self) -> dict[str, Any]:
        """Sign in, or say why not in words that don't tell whether the account exists."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password and self.request is not None:
            try:
                user = sign_in(self.request, username=username, password=password, now=timezone.now())
            except LockedOut as refusal:
                self.retry_after = refusal.retry_after
                raise forms.ValidationError(str(refusal), code="locked_out") from refusal
            except WrongCredentials:
                raise self.get_invalid_login_error() from None
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data
