"""One thread for every test of this folder.

Threads of tests that run at the same time on one machine wait for each other by spinning.
"""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Compute in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
