"""Translate test2016 with beam 5 and score the detokenised text with sacreBLEU.

python -m recipes.multi30k.evaluate --run runs/multi30k/autoassist --data runs/multi30k
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from preprocess.spm import decode
from preprocess.text import UserError, exit_on_signals, read_lines
from recipes.common.score import check_prepared, hypotheses, report, run_generate, score
from recipes.multi30k.prepare import LANGS

BEAM = 5


def generate_command(data_bin: Path, checkpoint: Path) -> list[str]:
    """Return the fairseq-generate command.

    fairseq's default of --required-batch-size-multiple, 8, would drop the last sentences.
    fairseq reads the checkpoint without the plugin too. --user-dir is for torch >= 2.6, which
    refuses fairseq's checkpoints until the plugin has named the classes that are safe to load.
    """
    command = ["fairseq-generate", str(data_bin.resolve()), "--user-dir", "fairseq_autoassist"]
    command += ["--source-lang", "en", "--target-lang", "de", "--gen-subset", "test"]
    command += ["--path", str(checkpoint.resolve()), "--beam", str(BEAM), "--max-tokens", "4000"]
    return command + ["--num-workers", "0", "--required-batch-size-multiple", "1"]


def evaluate(data: Path, run: Path) -> None:
    """Translate, detokenise and score; write generate.txt, hypotheses.txt and scores.json.

    Args:
        data: output folder of prepare.py
        run: folder of the run, for the three files

    Raises:
        UserError: a file of prepare.py or the checkpoint is missing
    """
    text, data_bin, model = data / "text", data / "data-bin", data / "spm.model"
    prepare = shlex.join(["python", "-m", "recipes.multi30k.prepare", "--out", str(data)])
    check_prepared(text, model, data_bin, LANGS, prepare)
    checkpoint = run / "checkpoint_best.pt"
    if not checkpoint.is_file():
        train = shlex.join(["recipes/multi30k/train.sh", str(data_bin), str(run)])
        raise UserError(f"found no {checkpoint}; expected that of a training run: run `{train}`")
    references = list(read_lines(text / "test.de"))
    output = run / "generate.txt"
    command = generate_command(data_bin, checkpoint)
    run_generate(command, output, len(references))
    translations = decode(model, hypotheses(output, len(references)))
    report(score(translations, references), translations, run)


def main(arguments: list[str] | None = None) -> None:
    """Write translations and scores of a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of prepare.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of train.sh")
    options = parser.parse_args(arguments)
    evaluate(options.data, options.run)


if __name__ == "__main__":
    exit_on_signals()
    main()
