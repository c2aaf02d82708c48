"""State in a checkpoint: its form, loading under torch's strict rules, refusal in another run."""

import dataclasses

import numpy as np
import pytest
import torch

from fairseq_autoassist.core.batching import KEPT, BatchLimits
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.plugin.checkpoints import (
    STATE_VERSION,
    check_state,
    state_header,
)
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from fairseq_autoassist.tensors import from_checkpoint, to_checkpoint
from tests.support.planning import make_sizes, make_spec, with_pairs


def test_a_checkpoint_holds_tensors_and_plain_python_and_loads_back(tmp_path):
    planner = Planner(make_spec(200))
    for _ in range(9):
        batch = planner.plan()
        planner.receive(batch.number, np.ones(len(batch.ids), np.float32))
    state = planner.state_dict()
    torch.save(to_checkpoint(state), tmp_path / "state.pt")
    loaded = from_checkpoint(torch.load(tmp_path / "state.pt", weights_only=True))
    assert loaded["buckets"]["kept"].dtype == KEPT
    resumed = Planner(make_spec(200))
    resumed.load_state_dict(loaded)
    for _ in range(5):
        assert resumed.plan().kept.tolist() == planner.plan().kept.tolist()


@pytest.mark.parametrize(
    "change, found",
    [
        ({"seed": 2}, "seed 1, this run has 2"),
        ({"pairs": 300}, "pairs 200, this run has 300"),
        ({"strategy": "autoassist"}, "strategy uniform, this run has autoassist"),
        ({"eligible": np.arange(5)}, "eligible pairs 200, this run has 5: .* there; start a new"),
        (
            {"eligible": np.arange(5), "limits": BatchLimits(30, None, 8)},
            "eligible pairs 200, this run has 5: .* --max-tokens that leaves out the same pairs",
        ),
    ],
)
def test_a_state_of_another_run_is_refused(change, found):
    saved = state_header(make_spec(200))
    check_state(saved, make_spec(200))
    other = dataclasses.replace(make_spec(200), features_hash="b")
    with pytest.raises(AutoAssistError, match="features hash , this run has b: it cannot resume"):
        check_state(saved, other)
    with pytest.raises(AutoAssistError, match=found):
        check_state(saved, make_spec(**{"pairs": 200, **change}))


@pytest.mark.parametrize("found", [STATE_VERSION - 1, STATE_VERSION + 1, "none"])
def test_a_state_of_another_version_is_refused_before_it_is_read(found):
    """Refuse by the version alone: nothing else in the state may be read."""
    saved = {} if found == "none" else {"version": found}
    with pytest.raises(AutoAssistError) as error:
        Shards().load(saved, make_spec(200), Ranks(0, 1), 1)
    assert str(error.value) == (
        f"the checkpoint's AutoAssist state has version {found}, expected {STATE_VERSION}: another "
        "version of fairseq-autoassist saved it; resume with that version, or keep the model and "
        "start a new pass with --reset-dataloader"
    )


def test_other_sentences_as_many_as_before_are_refused():
    spec = make_spec(200)
    saved = state_header(spec)
    other = with_pairs(spec, make_sizes(200)[0], make_sizes(200, seed=1)[1])
    with pytest.raises(
        AutoAssistError, match=r"tokens \[\d+, \d+\], this run has \[\d+, \d+\]: it"
    ):
        check_state(saved, other)
    check_state(saved, other, same_data=False)  # of another data-bin of the same run


def test_other_text_of_the_same_sizes_is_refused():
    first, second = (dataclasses.replace(make_spec(200), text=text) for text in ("a", "b"))
    saved = state_header(first)
    check_state(saved, first)
    with pytest.raises(AutoAssistError, match="text a, this run has b: it cannot .*--reset-data"):
        check_state(saved, second)
    check_state(saved, second, same_data=False)  # of another data-bin of the same run
    check_state(saved, make_spec(200))  # its text is not known
    check_state(state_header(make_spec(200)), second)


def test_torch_loads_the_numpy_values_that_fairseq_saves(tmp_path):
    """Load arrays and scalars, which fairseq saves under --eval-bleu, by strict rules."""
    saved = {"counts": np.arange(4), "share": np.float64(0.5), "flags": np.zeros((2, 3), bool)}
    torch.save(saved, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert loaded.keys() == saved.keys()
    for key in saved:
        np.testing.assert_array_equal(loaded[key], saved[key], strict=True)
