"""Models and budgets of the comparison, equal for all arms."""

from __future__ import annotations

from dataclasses import dataclass, replace

LOG_POINTS = 200  # log reports over a full budget
BEAM, LENPEN = 5, 1.0
MAX_LEN_A, MAX_LEN_B = 1.2, 10  # a translation has at most a * source pieces + b pieces
GENERATE_TOKENS = 8000  # source tokens to a batch when translating and when measuring losses
SMOOTHING = 0.1
VALID_AT_END = ("crawl",)  # architectures with BLEU on valid at the last mark only
MEASURE_VERSION = 1  # a new number repeats all runs


def _transformer(dim: int, ffn: int, heads: int, layers: int) -> list[str]:
    words = ["--arch", "transformer", "--share-all-embeddings"]
    for side in ("encoder", "decoder"):
        words += [f"--{side}-layers", str(layers), f"--{side}-embed-dim", str(dim)]
        words += [f"--{side}-ffn-embed-dim", str(ffn), f"--{side}-attention-heads", str(heads)]
        words += [f"--{side}-normalize-before"]
    return words


# the softmax goes through decoder-out-embed-dim: as wide as the embeddings, it shares them
ARCHITECTURES = {
    "transformer": _transformer(128, 512, 4, 3),
    # The same model in batches of a quarter. On a CPU they fit the cache: about 0.6 of the time a
    # token. Four times the updates learn more from the same tokens.
    "small-batch": _transformer(128, 512, 4, 3),
    # with a dropout of 0.1 plain training on Multi30k levels off within the budget
    "low-dropout": _transformer(128, 512, 4, 3),
    # the same on raw crawl, for a quarter of the updates
    "crawl": _transformer(128, 512, 4, 3),
    # the "tiny" size of Wu et al. (2021), to check our plain training on Multi30k
    "published": _transformer(128, 256, 4, 4),
    "wide": _transformer(256, 1024, 4, 3),
    "lstm": [
        *["--arch", "lstm", "--share-all-embeddings", "--encoder-bidirectional"],
        *["--encoder-embed-dim", "128", "--encoder-hidden-size", "128", "--encoder-layers", "1"],
        *["--decoder-embed-dim", "128", "--decoder-hidden-size", "256", "--decoder-layers", "1"],
        *["--decoder-out-embed-dim", "128"],
    ],
    "fconv": [
        *["--arch", "fconv", "--share-input-output-embed"],
        *["--encoder-embed-dim", "128", "--encoder-layers", "[(128, 3)] * 4"],
        *["--decoder-embed-dim", "128", "--decoder-layers", "[(128, 3)] * 4"],
        *["--decoder-out-embed-dim", "128"],
    ],
    "tiny": _transformer(16, 32, 2, 1),  # for tests: seconds a run
}


@dataclass(frozen=True)
class Training:
    """How a model is trained on a corpus when the budget is 1.

    Attributes:
        updates: of the full budget
        max_tokens: to a batch, padding included
        lr: at its peak
        warmup: updates to the peak, of the full budget; in proportion for others
        dropout, clip: share, and norm of the gradient
        marks: number of measurements in a full budget, at equal distances
        early: further marks, as shares of the first one
    """

    updates: int
    max_tokens: int
    lr: float
    warmup: int
    dropout: float
    clip: float = 1.0
    marks: int = 8
    early: tuple[float, ...] = ()


# architecture -> corpus -> settings; "" stands for every corpus that has no line of its own
TRAINING = {
    "transformer": {
        "multi30k": Training(6000, 4096, 5e-3, 500, 0.3),
        "tatoeba": Training(2600, 8192, 5e-3, 300, 0.1),
        "msdocs": Training(2800, 8192, 5e-3, 300, 0.1),
        "noisy": Training(2000, 4096, 5e-3, 300, 0.3),
    },
    "small-batch": {
        "multi30k": Training(16000, 1024, 3e-3, 1000, 0.3),
        "noisy": Training(16000, 1024, 3e-3, 1000, 0.3),
        "tatoeba": Training(16000, 1024, 3e-3, 1000, 0.1),
        "msdocs": Training(16000, 1024, 3e-3, 1000, 0.1),
    },
    "low-dropout": {
        "multi30k": Training(16000, 1024, 3e-3, 1000, 0.1),
        "noisy": Training(16000, 1024, 3e-3, 1000, 0.1),
    },
    # early marks, since arms reach plain training's final BLEU before the first mark
    "crawl": {"": Training(4000, 1024, 3e-3, 500, 0.1, early=(0.5, 0.75))},
    "published": {"multi30k-lower": Training(40000, 1024, 3e-3, 2000, 0.3)},
    "wide": {
        "multi30k": Training(900, 4096, 2e-3, 150, 0.3),
    },
    "lstm": {"": Training(900, 4096, 3e-3, 150, 0.3)},
    "fconv": {"": Training(900, 4096, 2e-3, 150, 0.2, clip=0.1)},
    "tiny": {"": Training(120, 250, 1e-2, 4, 0.1, marks=2)},
}


def training_of(architecture: str, corpus: str, updates: int | None = None) -> Training:
    """Settings of a model on a corpus; the warm-up is in proportion to the updates."""
    table = TRAINING[architecture]
    training = table[corpus] if corpus in table else table[""]
    if updates is None:
        return training
    warmup = max(1, round(training.warmup * updates / training.updates))
    return replace(training, updates=updates, warmup=warmup)


def marks_of(training: Training, updates: int) -> list[int]:
    """Updates at which a run is measured: marks of the full budget before its end, and its end."""
    share = training.updates / training.marks
    reached = [round(share * mark) for mark in (*training.early, *range(1, training.marks + 1))]
    return [mark for mark in reached if 0 < mark < updates] + [updates]
