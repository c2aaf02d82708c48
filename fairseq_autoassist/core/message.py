"""What planning has to tell the user."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """Something to tell the user; ``bad`` if the Assistant failed in it."""

    text: str
    bad: bool
