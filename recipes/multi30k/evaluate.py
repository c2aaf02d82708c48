"""Translate test2016 with beam 5 and score the detokenised text with sacreBLEU.

python -m recipes.multi30k.evaluate --run runs/multi30k/autoassist --data runs/multi30k
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from preprocess.spm import decode
from preprocess.text import UserError, read_lines
from recipes.common.score import hypotheses, report, run_generate, score

BEAM = 5


def generate_command(data_bin: Path, checkpoint: Path) -> list[str]:
    """Return the fairseq-generate command.

    --required-batch-size-multiple, because fairseq's default, 8, drops what is left in the end.
    fairseq reads the checkpoint without the plugin too; --user-dir is there for torch >= 2.6, which
    refuses fairseq's checkpoints until the plugin has named what is safe to load.
    """
    command = ["fairseq-generate", str(data_bin.resolve()), "--user-dir", "fairseq_autoassist"]
    command += ["--source-lang", "en", "--target-lang", "de", "--gen-subset", "test"]
    command += ["--path", str(checkpoint.resolve()), "--beam", str(BEAM), "--max-tokens", "4000"]
    return command + ["--num-workers", "0", "--required-batch-size-multiple", "1"]


def evaluate(data: Path, run: Path) -> None:
    """Translate, detokenise, score; writes generate.txt, hypotheses.txt and scores.json."""
    text, checkpoint = data / "text" / "test.de", run / "checkpoint_best.pt"
    prepare = shlex.join(["python", "-m", "recipes.multi30k.prepare", "--out", str(data)])
    train = shlex.join(["recipes/multi30k/train.sh", str(data / "data-bin"), str(run)])
    for path, maker in ((text, prepare), (checkpoint, train)):
        if not path.is_file():
            raise UserError(f"found no {path}; expected what this leaves there: run `{maker}`")
    references = list(read_lines(text))
    output = run / "generate.txt"
    command = generate_command(data / "data-bin", checkpoint)
    run_generate(command, output, len(references))
    translations = decode(data / "spm.model", hypotheses(output, len(references)))
    report(score(translations, references), translations, run)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of prepare.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of train.sh")
    options = parser.parse_args(arguments)
    evaluate(options.data, options.run)


if __name__ == "__main__":
    main()
