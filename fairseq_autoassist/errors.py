"""Errors a user can mend: each message says what was found, what was expected, and what to do."""

from __future__ import annotations


class AutoAssistError(Exception):
    """Base of every error a user can mend."""


class FeatureError(AutoAssistError):
    """Features, or the binarised data they are made from, are missing, damaged or do not fit."""


class ConfigError(AutoAssistError, ValueError):
    """An option has a value it cannot have."""


class AssistantFailure(AutoAssistError):
    """The Assistant died, got stuck or learned nothing."""
