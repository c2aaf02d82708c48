"""Translate newstest2014 and score it by sacreBLEU, and by tokenised BLEU as in older papers.

python -m recipes.wmt14_en_de.evaluate --model base --run runs/wmt14_en_de/paper/base
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from preprocess.spm import decode
from preprocess.text import UserError, exit_on_signals, read_lines
from recipes.common.average import AVERAGED
from recipes.common.score import check_prepared, hypotheses, old_score, report, run_generate, score
from recipes.wmt14_en_de.prepare import OUT, models
from recipes.wmt14_en_de.settings import LANGS, MODELS, SCALES, Model, Vocabulary

MAX_TOKENS = "8000"  # of a batch of sources


def generate_command(model: Model, data_bin: Path, checkpoint: Path, cpu: bool) -> list[str]:
    """Return the fairseq-generate command.

    torch >= 2.6 refuses fairseq's checkpoints without --user-dir. fairseq's default of
    --required-batch-size-multiple, 8, would drop the last 3 of 3003 sentences.
    """
    command = ["fairseq-generate", str(data_bin.resolve()), "--user-dir", "fairseq_autoassist"]
    command += ["--task", "translation", "--source-lang", LANGS[0], "--target-lang", LANGS[1]]
    command += ["--gen-subset", "test", "--path", str(checkpoint.resolve()), *model.generate]
    command += ["--required-batch-size-multiple", "1"]
    return [*command, "--max-tokens", MAX_TOKENS, "--cpu" if cpu else "--fp16"]


def evaluate(
    model: Model, vocabulary: Vocabulary, texts: Path, data: Path, checkpoint: Path, cpu: bool
) -> None:
    """Translate, detokenise and score; write generate.txt, hypotheses.txt and scores.json.

    Args:
        model: gives the flags of fairseq-generate
        vocabulary: says whether it is joint
        texts: folder of the test set as published
        data: folder of a vocabulary, with its data-bin
        checkpoint: checkpoint in the folder of the run, where the three files are written
        cpu: use no GPU

    Raises:
        UserError: a file of prepare.py or the checkpoint is missing
    """
    target = models(data, vocabulary)[1]
    prepare = ["python", "-m", "recipes.wmt14_en_de.prepare", "--vocab", data.name]
    prepare += ["--out", str(data.parent)]
    check_prepared(texts, target, data / "data-bin", LANGS, shlex.join(prepare))
    if not checkpoint.is_file():
        raise UserError(
            f"found no {checkpoint}; expected averaged checkpoints: run `python -m "
            f"recipes.common.average --run {checkpoint.parent}`, or name a --checkpoint"
        )
    tell_if_old(checkpoint)
    references = list(read_lines(texts / f"test.{LANGS[1]}"))
    run = checkpoint.parent
    output = run / "generate.txt"
    run_generate(
        generate_command(model, data / "data-bin", checkpoint, cpu), output, len(references)
    )
    translations = decode(target, hypotheses(output, len(references)))
    scores = score(translations, references)
    try:
        scores.update(old_score(translations, references, LANGS[1]))
    except UserError as error:  # sacreBLEU's scores are reported in any case
        print(f"no tokenised BLEU: {error}", flush=True)
    report(scores, translations, run)


def tell_if_old(checkpoint: Path) -> None:
    """Warn if the run was resumed after its checkpoints were averaged."""
    last = checkpoint.with_name("checkpoint_last.pt")
    if checkpoint.name != AVERAGED or not last.is_file():
        return
    if checkpoint.stat().st_mtime_ns < last.stat().st_mtime_ns:
        print(
            f"note: {checkpoint} is older than {last.name}; for the latest run `python -m "
            f"recipes.common.average --run {checkpoint.parent}` first",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    """Write translations and scores of a checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of train.py")
    parser.add_argument("--data", type=Path, default=OUT, help="--out of prepare.py")
    parser.add_argument("--vocab", choices=["paper", "joint"], default="paper")
    parser.add_argument("--checkpoint", default=AVERAGED, help="in RUN (default: %(default)s)")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args(arguments)
    evaluate(
        MODELS[options.model],
        SCALES["full"].vocabularies[options.vocab],  # read only for whether it is joint
        options.data / "text",
        options.data / options.vocab,
        options.run / options.checkpoint,
        options.cpu,
    )


if __name__ == "__main__":
    exit_on_signals()
    main()
