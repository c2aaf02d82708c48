"""Messages of planning for the user."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """Text for the user; ``bad`` if it tells that the Assistant failed."""

    text: str
    bad: bool
