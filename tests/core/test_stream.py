"""Stream and coins: every pair once per pass, in an order of seed and pass alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_autoassist.core.stream import Stream, _nth_of, pass_coins, pass_order


def consume(stream, passes, chunk):
    """Ids of each pass, in the order of the stream."""
    out = {}
    while stream.position[0] < passes:
        number = stream.position[0]
        out.setdefault(number, []).extend(stream.take(chunk)[0].tolist())
    return out


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.integers(1, 200),
    world_size=st.integers(1, 5),
    chunk=st.integers(1, 70),
    seed=st.integers(0, 2**40),
)
def test_every_pair_once_per_pass_over_all_ranks(pairs, world_size, chunk, seed):
    if pairs < world_size:
        with pytest.raises(ValueError, match="some would have none"):
            Stream(pairs, seed, rank=0, world_size=world_size)
        return
    streams = [Stream(pairs, seed, rank=r, world_size=world_size) for r in range(world_size)]
    seen = [consume(stream, 3, chunk) for stream in streams]
    for number in range(3):
        together = [i for rank in seen for i in rank[number]]
        assert sorted(together) == list(range(pairs))


def test_only_eligible_pairs_come_up():
    eligible = np.array([2, 3, 5, 7, 11])
    seen = consume(Stream(20, seed=1, eligible=eligible), 2, 3)
    assert sorted(seen[0]) == sorted(seen[1]) == eligible.tolist()


def test_passes_and_seeds_have_orders_of_their_own():
    orders = [tuple(pass_order(seed, p, 50)) for seed in (1, 2) for p in (0, 1)]
    assert len(set(orders)) == 4


def test_the_coin_depends_on_seed_pass_and_id_only():
    coins = pass_coins(7, 3, 1000)
    # the number of pairs does not change it
    np.testing.assert_array_equal(pass_coins(7, 3, 400), coins[:400])
    # nor do order, chunks, ranks and filtering
    variants = [
        (Stream(1000, 7), 1000),
        (Stream(1000, 7), 13),
        (Stream(1000, 7, rank=1, world_size=3), 50),
        (Stream(1000, 7, eligible=np.arange(0, 1000, 2)), 64),
    ]
    for stream, chunk in variants:
        stream.seek((3, 0))
        while stream.position[0] == 3:
            ids, got = stream.take(chunk)
            np.testing.assert_array_equal(got, coins[ids])
    assert not np.array_equal(pass_coins(8, 3, 1000), coins)
    assert not np.array_equal(pass_coins(7, 4, 1000), coins)


def test_the_global_generator_is_neither_read_nor_seeded():
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    first = consume(Stream(100, 5), 2, 10)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(2)
    assert consume(Stream(100, 5), 2, 10) == first


def test_coins_are_uniform():
    coins = pass_coins(1, 0, 200_000)
    counts = np.histogram(coins, bins=20, range=(0, 1))[0]
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 50  # chi square, 19 degrees of freedom
    assert coins.min() >= 0 and coins.max() < 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 250), st.integers(1, 40))
def test_a_resume_anywhere_gives_the_same_ids(steps, chunk):
    whole = Stream(97, 3, rank=1, world_size=2)
    for _ in range(steps):
        whole.take(7)
    resumed = Stream(97, 3, rank=1, world_size=2)
    resumed.load_state_dict(whole.state_dict())
    for _ in range(5):
        np.testing.assert_array_equal(whole.take(chunk)[0], resumed.take(chunk)[0])


def test_a_state_of_another_stream_is_refused():
    state = Stream(100, 3).state_dict()
    for other in (Stream(101, 3), Stream(100, 4), Stream(100, 3, rank=0, world_size=2)):
        with pytest.raises(ValueError, match="saved with"):
            other.load_state_dict(state)
    with pytest.raises(ValueError, match="saved with eligible 100, this run has eligible 99"):
        Stream(100, 3, eligible=np.arange(99)).load_state_dict(state)
    first, second = (Stream(100, 3, rank=rank, world_size=2) for rank in range(2))
    with pytest.raises(ValueError, match="saved with rank 0, this run has rank 1"):
        second.load_state_dict(first.state_dict())


def test_passes_are_counted_in_a_ranks_share():
    stream = Stream(120, 3, rank=1, world_size=3)
    found = []
    for _ in range(6):
        stream.take(10)
        found.append(stream.passes)
    assert found == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]


def test_ids_above_two_to_the_24_are_exact():
    pairs, high = 2**24 + 5000, 2**24 + 1
    stream = Stream(pairs, 1, eligible=np.arange(high, high + 64))
    assert sorted(consume(stream, 1, 7)[0]) == list(range(high, high + 64))


def test_ids_from_two_to_the_31_on_are_exact():
    last = 2**31 + 7
    mask = np.zeros(2**28 + 1, dtype=np.uint8)  # no memory until it is written to
    mask[0], mask[-1] = 0b10000000, 0b10000001
    ids = _nth_of(mask, 3, np.array([2, 0, 1], dtype=np.int32))
    assert ids.tolist() == [last, 0, 2**31]


def test_no_rank_has_a_pair_more_in_every_pass():
    for rank in range(3):
        seen = consume(Stream(10, 1, rank=rank, world_size=3), 3, 100)
        assert sorted(len(ids) for ids in seen.values()) == [3, 3, 4]


def test_the_same_data_listed_again_come_in_another_order_with_other_coins():
    first, again = (Stream(50, 1, repeat=repeat) for repeat in (0, 1))
    (ids, coins), (ids_again, coins_again) = first.take(50), again.take(50)
    np.testing.assert_array_equal(ids, pass_order(1, 0, 50))
    assert sorted(ids_again) == sorted(ids) and not np.array_equal(ids_again, ids)
    by_id = [c[np.argsort(i)] for i, c in ((ids, coins), (ids_again, coins_again))]
    assert not np.any(by_id[0] == by_id[1])
    resumed = Stream(50, 1, repeat=1)
    resumed.load_state_dict(again.state_dict())
    np.testing.assert_array_equal(resumed.take(50)[0], again.take(50)[0])
    resumed.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(resumed.take(50)[0], first.take(50)[0])
