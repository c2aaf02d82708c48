"""One thread for every test of this folder.

Threads of tests that run at the same time on one machine wait for each other by spinning.
"""

import pytest


@pytest.fixture(autouse=True)
def one_thread(one_thread):
    """Compute in one thread, in every test."""
