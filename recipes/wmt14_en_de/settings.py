"""Settings of the recipe: vocabularies, models, the training budget.

The settings of a model are fairseq's own, from its examples. Those without an example are marked
"ours". Runs with AutoAssist and without share all settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from preprocess.clean import Limits

LANGS = ("en", "de")
TARGET_TOKENS = 6_000_000_000  # trained on in a run at full scale
GPUS = 8  # number that the learning rates below are for; fewer GPUs accumulate gradients
SEED = 1

# The limits of text drop only pairs that cannot be translations. Those of pieces are fairseq's in
# prepare-wmt14en2de.sh after BPE (`clean-corpus-n.perl -ratio 1.5 ... 1 250`).
TEXT_LIMITS = Limits(max_words=250, spaced=True)
PIECE_LIMITS = Limits(max_words=250, max_ratio=1.5, ratio_from=1, spaced=True)


@dataclass(frozen=True)
class Vocabulary:
    """Number of pieces of each side; one model is for both sides if `target` is None."""

    source: int
    target: int | None
    normalization: str = "nmt_nfkc"  # of the published results; fine for English and German


@dataclass(frozen=True)
class Scale:
    """Settings that are smaller in a trial of the recipe."""

    vocabularies: Mapping[str, Vocabulary]
    sentencepiece_lines: int  # lines of each language, evenly spread, for SentencePiece
    target_tokens: int  # trained on in a run
    checkpoints: int  # number saved in a run, at equal distances
    average: int  # number of last checkpoints to average
    gpus: int  # number whose batches make up an update
    max_tokens: int | None  # of a rank; None: the model's own
    flags: tuple[str, ...]
    model_flags: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Model:
    """Flags of fairseq-train and of fairseq-generate."""

    flags: tuple[str, ...]
    max_tokens: int  # of a rank: padded source or target tokens, whichever are more
    generate: tuple[str, ...]
    family: str  # key of Scale.model_flags
    tied: tuple[str, ...]  # flags for a joint vocabulary
    untied: tuple[str, ...]  # flags for one vocabulary for each language
    parameters: Mapping[str, int]  # vocabulary -> number, of fairseq's model


_ADAM = (
    *("--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--clip-norm", "0.0"),
    *("--lr-scheduler", "inverse_sqrt", "--warmup-init-lr", "1e-07", "--warmup-updates", "4000"),
)
# Vaswani et al. (2017), as fairseq's authors advise for reproducing it (issue 1352)
_VASWANI = ("--beam", "4", "--lenpen", "0.6")
_TIED = ("--share-all-embeddings",)
_UNTIED = ("--share-decoder-input-output-embed",)

MODELS = {
    # Architecture: fairseq's for Luong et al. (2015). fairseq has no recipe for it on WMT14: its
    # optimiser here is the Transformer's with clipping, ours.
    "lstm": Model(
        flags=(
            *("--arch", "lstm_luong_wmt_en_de", *_ADAM, "--clip-norm", "1.0", "--lr", "0.0005"),
            *("--dropout", "0.2", "--weight-decay", "0.0"),
        ),
        max_tokens=4000,
        generate=("--beam", "5"),
        family="lstm",
        tied=(),
        untied=(),
        parameters={"joint": 167_105_003, "paper": 193_113_003},
    ),
    # examples/translation, "WMT'14 English to German (Convolutional)", without --force-anneal 50,
    # which counts epochs. A plain run of this budget ends before epoch 50. A run with AutoAssist
    # has shorter epochs, so its learning rate would change at epoch 50.
    "fconv": Model(
        flags=(
            *("--arch", "fconv_wmt_en_de", "--optimizer", "nag", "--lr", "0.5"),
            *("--clip-norm", "0.1", "--dropout", "0.2", "--lr-scheduler", "fixed"),
        ),
        max_tokens=4000,
        generate=("--beam", "5"),
        family="fconv",
        tied=(),
        untied=(),
        parameters={"joint": 193_176_070, "paper": 211_112_070},
    ),
    # fairseq has no recipe for the base model. This is that of the big model with dropout 0.1 and
    # the peak of Vaswani et al.'s schedule, (dimensions * warm-up)^-0.5 = 0.0007. The same rule
    # gives 0.0005 for the big model.
    "base": Model(
        flags=(
            *("--arch", "transformer_wmt_en_de", *_ADAM, "--lr", "0.0007"),
            *("--dropout", "0.1", "--weight-decay", "0.0"),
        ),
        max_tokens=4096,
        generate=_VASWANI,
        family="transformer",
        tied=_TIED,
        untied=_UNTIED,
        parameters={"joint": 60_524_032, "paper": 86_125_568},
    ),
    # examples/scaling_nmt, "Training a new model on WMT'16 En-De"
    "big": Model(
        flags=(
            *("--arch", "transformer_vaswani_wmt_en_de_big", *_ADAM, "--lr", "0.0005"),
            *("--dropout", "0.3", "--weight-decay", "0.0"),
        ),
        max_tokens=3584,
        generate=_VASWANI,
        family="transformer",
        tied=_TIED,
        untied=_UNTIED,
        parameters={"joint": 209_128_448, "paper": 260_331_520},
    ),
}

SCALES = {
    "full": Scale(
        vocabularies={"paper": Vocabulary(42_000, 40_000), "joint": Vocabulary(32_000, None)},
        sentencepiece_lines=2_000_000,
        target_tokens=TARGET_TOKENS,
        checkpoints=50,
        average=10,  # as Ott et al. (2018), whose checkpoints are an epoch apart; these nearly are
        gpus=GPUS,
        max_tokens=None,
        flags=("--fp16", "--log-interval", "100"),
        model_flags={"lstm": (), "fconv": (), "transformer": ()},
    ),
    # for a trial of every step in a minute or two on a CPU; the model learns nothing
    "tiny": Scale(
        vocabularies={"paper": Vocabulary(600, 700), "joint": Vocabulary(800, None)},
        sentencepiece_lines=1_000,
        target_tokens=10_000,
        checkpoints=4,
        average=2,
        gpus=1,
        max_tokens=500,
        flags=("--cpu", "--log-interval", "5"),
        model_flags={
            "lstm": (
                *("--encoder-embed-dim", "16", "--encoder-hidden-size", "16"),
                *("--encoder-layers", "1", "--decoder-layers", "1", "--decoder-embed-dim", "16"),
                *("--decoder-hidden-size", "16", "--decoder-out-embed-dim", "16"),
            ),
            "fconv": (
                *("--encoder-embed-dim", "16", "--decoder-embed-dim", "16"),
                *("--encoder-layers", "[(16, 3)]", "--decoder-layers", "[(16, 3)]"),
                *("--decoder-out-embed-dim", "16"),
            ),
            "transformer": (
                *("--encoder-layers", "1", "--decoder-layers", "1", "--encoder-embed-dim", "16"),
                *("--decoder-embed-dim", "16", "--encoder-ffn-embed-dim", "32"),
                *("--decoder-ffn-embed-dim", "32", "--encoder-attention-heads", "2"),
                *("--decoder-attention-heads", "2"),
            ),
        },
    ),
}
