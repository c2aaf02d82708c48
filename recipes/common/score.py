"""Translate a test set with fairseq-generate, and score the translations.

Every score has its signature, because scores of different signatures cannot be compared.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Dict, Sequence

import sacrebleu
from tqdm import tqdm

from preprocess.text import UserError, read_lines, whole_files
from recipes.common.data import ROOT
from recipes.common.steps import child

Scores = Dict[str, Dict[str, object]]  # metric -> score and signature


def check_prepared(
    texts: Path, model: Path, data_bin: Path, langs: Sequence[str], maker: str
) -> None:
    """Refuse missing files of prepare.py before a test set is translated.

    Args:
        texts: folder of the test set as published
        model: SentencePiece model of the target
        data_bin: data-bin that has the test set
        langs: source and target language
        maker: command that makes these files

    Raises:
        UserError: a file is missing
    """
    paths = [texts / f"test.{langs[1]}", model]
    paths += [data_bin / f"dict.{lang}.txt" for lang in langs]
    paths += [data_bin / f"test.{'-'.join(langs)}.{lang}.idx" for lang in langs]
    for path in paths:
        if not path.is_file():
            raise UserError(f"found no {path}; expected a file of prepare.py: run `{maker}`")


def run_generate(command: list[str], output: Path, sentences: int) -> None:
    """Run fairseq-generate with a progress bar; `output` appears when it is complete."""
    with whole_files(output) as (stream,), child(command, ROOT, piped=True) as process:
        assert process.stdout is not None
        with tqdm(total=sentences, desc="translate", unit=" sentences") as bar:
            for line in process.stdout:
                stream.write(line)
                bar.update(line.startswith("H-"))


def hypotheses(output: Path, sentences: int) -> list[str]:
    """Return the best translation of every sentence, as pieces, in the order of the test set.

    Raises:
        UserError: the output lacks a sentence
    """
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


def score(translations: list[str], references: list[str]) -> Scores:
    """Return BLEU (13a) and chrF of detokenised text."""
    scores: Scores = {}
    for name, metric in (("BLEU", sacrebleu.BLEU()), ("chrF2", sacrebleu.CHRF())):
        value = metric.corpus_score(translations, [references])
        scores[name] = {"score": value.score, "signature": str(metric.get_signature())}
    return scores


def split_compounds(line: str) -> str:
    """Split tokens at inner hyphens, as fairseq's scripts/compound_split_bleu.sh does."""
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


def old_score(translations: Sequence[str], references: Sequence[str], lang: str) -> Scores:
    """Return BLEU of Moses tokens with compounds split, as in papers before sacreBLEU.

    It is higher than sacreBLEU's BLEU, and comparable with those papers only.

    Raises:
        UserError: sacremoses, the Moses tokeniser, is not installed
    """
    try:
        import sacremoses  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError(
            "found no sacremoses; tokenised BLEU needs the Moses tokeniser: "
            "run `pip install sacremoses`, or leave tokenised BLEU out"
        ) from error
    moses = sacremoses.MosesTokenizer(lang)

    def prepared(lines: Sequence[str]) -> list[str]:
        tokenised = (moses.tokenize(line, return_str=True, escape=False) for line in lines)
        return [split_compounds(line) for line in tokenised]

    metric = sacrebleu.BLEU(tokenize="none", force=True)
    value = metric.corpus_score(prepared(translations), [prepared(references)])
    tokens = f"tokens:sacremoses-{sacremoses.__version__}-{lang}+compounds-split"
    signature = f"{metric.get_signature()}|{tokens}"
    return {"BLEU, tokenised, compounds split": {"score": value.score, "signature": signature}}


def report(scores: Scores, translations: Sequence[str], run: Path) -> None:
    """Print the scores; write them to scores.json and the translations to hypotheses.txt."""
    with whole_files(run / "hypotheses.txt", run / "scores.json") as (text, numbers):
        text.writelines(line + "\n" for line in translations)
        json.dump(scores, numbers, indent=2)
    for name, value in scores.items():
        print(f"{name} = {value['score']:.2f}  {value['signature']}", flush=True)
