"""For every test here: one thread, since the threads of several tests on one machine wait for each
other by spinning."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Compute in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
