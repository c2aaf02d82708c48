"""Errors that a user can mend; a message tells what was found, what was expected and what to do."""

from __future__ import annotations


def told(error: BaseException) -> str:
    """One line for an error; for a system error the file comes first."""
    if isinstance(error, OSError) and error.strerror:
        named = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{' to '.join(named)}: {error.strerror}" if named else error.strerror
    return " ".join(str(error).split())


class AutoAssistError(Exception):
    """Base of every error that a user can mend."""


class FeatureError(AutoAssistError):
    """Features, or the binarised data they are made from, are missing, damaged or do not fit."""


class ConfigError(AutoAssistError, ValueError):
    """An option has a wrong value, or has no effect."""


class AssistantFailure(AutoAssistError):
    """The Assistant died, got stuck or learned nothing."""
