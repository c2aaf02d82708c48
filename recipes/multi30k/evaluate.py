"""Translate test2016 with beam 5 and score the detokenised text with sacreBLEU.

python -m recipes.multi30k.evaluate --run runs/multi30k/autoassist --data runs/multi30k
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import sacrebleu
from tqdm import tqdm

from preprocess.spm import decode
from preprocess.text import UserError, read_lines, whole_files
from recipes.common.data import ROOT
from recipes.common.steps import child

BEAM = 5


def generate_command(data_bin: Path, checkpoint: Path) -> list[str]:
    """Return the fairseq-generate command.

    fairseq reads the checkpoint without the plugin too; --user-dir is there for torch >= 2.6, which
    refuses fairseq's checkpoints until the plugin has named what is safe to load.
    """
    command = ["fairseq-generate", str(data_bin.resolve()), "--user-dir", "fairseq_autoassist"]
    command += ["--source-lang", "en", "--target-lang", "de", "--gen-subset", "test"]
    command += ["--path", str(checkpoint.resolve()), "--beam", str(BEAM), "--max-tokens", "4000"]
    return command + ["--num-workers", "0"]


def run_generate(command: list[str], output: Path, sentences: int) -> None:
    """Run fairseq-generate with a progress bar; its output appears under `output` once complete."""
    with whole_files(output) as (stream,), child(command, ROOT, piped=True) as process:
        assert process.stdout is not None
        with tqdm(total=sentences, desc="translate", unit=" sentences") as bar:
            for line in process.stdout:
                stream.write(line)
                bar.update(line.startswith("H-"))


def hypotheses(output: Path, sentences: int) -> list[str]:
    """Return the best translation of every sentence, as pieces, in the order of the test set."""
    found: dict[int, str] = {}
    for line in read_lines(output):
        if line.startswith("H-"):
            name, _, pieces = line.split("\t", 2)
            found[int(name[2:])] = pieces
    missing = sentences - len(found)
    if missing or set(found) != set(range(sentences)):
        raise UserError(
            f"{output} holds {len(found)} translations; expected one for each of {sentences} "
            f"sentences: remove it and evaluate again"
        )
    return [found[number] for number in range(sentences)]


def score(translations: list[str], references: list[str]) -> dict[str, dict[str, object]]:
    """Return BLEU and chrF with their signatures: a score without them cannot be compared."""
    scores: dict[str, dict[str, object]] = {}
    for name, metric in (("BLEU", sacrebleu.BLEU()), ("chrF2", sacrebleu.CHRF())):
        value = metric.corpus_score(translations, [references])
        scores[name] = {"score": value.score, "signature": str(metric.get_signature())}
    return scores


def evaluate(data: Path, run: Path) -> None:
    """Translate, detokenise, score; writes generate.txt, hypotheses.txt and scores.json."""
    references = list(read_lines(data / "text" / "test.de"))
    output = run / "generate.txt"
    command = generate_command(data / "data-bin", run / "checkpoint_best.pt")
    run_generate(command, output, len(references))
    translations = decode(data / "spm.model", hypotheses(output, len(references)))
    scores = score(translations, references)
    with whole_files(run / "hypotheses.txt", run / "scores.json") as (text, numbers):
        text.writelines(line + "\n" for line in translations)
        json.dump(scores, numbers, indent=2)
    for name, value in scores.items():
        print(f"{name} = {value['score']:.2f}  {value['signature']}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of prepare.py")
    parser.add_argument("--run", type=Path, required=True, help="folder of train.sh")
    options = parser.parse_args(arguments)
    evaluate(options.data, options.run)


if __name__ == "__main__":
    main()
