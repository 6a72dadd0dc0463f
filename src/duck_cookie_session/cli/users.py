"""Users, looked up in the models that Django's and Duck's logins go by."""

from __future__ import annotations

from typing import Any

from ..session.duck import why
from .output import UsageError


class Users:
    """The users of a Django project. `login()` stores the primary key as the subject."""

    def primary_key(self, username: str) -> str | None:
        """The primary key of the user of that name; None if there is no such user.

        Raises:
            UsageError: there are no users to look in.
        """
        model = self._model()
        try:
            return str(model._default_manager.get_by_natural_key(username).pk)
        except model.DoesNotExist:
            return None
        except Exception as error:  # the database's own: no table, no connection, ...
            raise UsageError(
                f"The users can't be looked up ({type(error).__name__}: {error}). Give the user's "
                "primary key with --subject."
            ) from error

    def subject(self, text: str) -> str:
        """A primary key in the form that `login()` stores.

        Raises:
            UsageError: it can't be one.
        """
        key = self._model()._meta.pk
        from django.core.exceptions import ValidationError

        try:
            return str(key.to_python(text))
        except (ValidationError, ValueError, TypeError) as error:
            raise UsageError(
                f"--subject takes the user's primary key, and {text!r} can't be one "
                f"({type(key).__name__}). --username looks a user up by name."
            ) from error

    def _model(self) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model()


class DuckUsers(Users):
    """The users of a Duck project, whose logins go by Django's models."""

    def subject(self, text: str) -> str:
        """As given: Duck's `login()` also takes ids that are in no model."""
        return text

    def _model(self) -> Any:
        try:
            import django

            django.setup()
            return super()._model()
        except Exception as error:  # whatever a project's Django settings raise
            raise UsageError(
                f"The users can't be looked up: Django is not set up ({why(error)}). Give the "
                "user's primary key with --subject."
            ) from error
