"""One run from its settings to its record: train, measure, record.

    python -m recipes.compare.one_run RUN --out runs/compare [--cpu]

RUN is an id such as multi30k.transformer.paper.b070.s1. `recipes.compare.run` starts this process
for each run. A finished run is skipped; an interrupted one resumes from its last mark.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import hashlib
import json
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from preprocess.text import UserError, whole_file, whole_files
from recipes.common.data import ROOT, sha256_of
from recipes.common.jsonfile import read_json
from recipes.compare import settings
from recipes.compare.languages import languages_of
from recipes.compare.matrices import Run, run_of
from recipes.compare.packed import HYPOTHESES
from recipes.compare.train import USER_DIR, model_words, read_mark, saved_marks, train

LEASH = "AUTOASSIST_LEASH"  # set by the runner; our standard input closes when the runner ends


def settings_key(run: Run, corpus: Path) -> str:
    """A hash of all settings and data of a run; a run with another hash is made again."""
    # late: the plugin registers nothing if it is imported before fairseq
    from recipes.compare.filtered_data import evidence

    data = read_json(corpus / "pairs.json", missing_ok=True).get("sha256")  # what prepare adds last
    if not data or not (corpus / "data-bin" / "autoassist").is_dir():
        raise UserError(
            f"{corpus} is no prepared corpus; expected pairs.json with hashes and data-bin with "
            f"features; run `python -m recipes.compare.prepare {run.corpus} --out {corpus.parent}`"
        )
    marks = settings.marks_of(run.training, run.updates)
    measured = [settings.MEASURE_VERSION, settings.BEAM, settings.LENPEN, marks]
    measured += [settings.MAX_LEN_A, settings.MAX_LEN_B]
    words = model_words(run, languages_of(corpus / "data-bin"))
    facts = [words, measured, data, ""]  # "" keeps the keys of older records
    read = [sha256_of(path) for path in evidence(run, corpus)]
    facts += [read] if read else []  # most arms read no further files, and keep their keys
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def finished(run: Run, out: Path, corpora: Path) -> bool:
    """Whether there is a record of this run with these settings."""
    try:
        record = read_json(out / "runs" / run.id / "record.json", missing_ok=True)
    except ValueError:
        return False
    key = record.get("settings", {}).get("key")
    return key is not None and key == settings_key(run, corpora / run.corpus)


def hold(folder: Path) -> IO[str]:
    """Wait for another process in the folder, such as one whose runner was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def make_room(folder: Path, key: str) -> None:
    """Empty the folder unless a run with these settings has begun in it."""
    stamp = folder / "begun"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("lock", "output"):
            path.unlink()
    with whole_files(stamp) as (stream,):
        stream.write(key)


def strip(checkpoint: Path, target: Path) -> None:
    """Save a checkpoint without its optimizer, at a third of its size, for fairseq-generate."""
    import torch
    from fairseq import checkpoint_utils

    state = checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint))
    state.pop("last_optimizer_state", None)
    with whole_file(target) as part:
        torch.save(state, part)


def execute(run: Run, out: Path, corpora: Path, cpu: bool) -> None:
    """Do the parts of a run that are not done yet."""
    from recipes.compare.filtered_data import training_data
    from recipes.compare.recording import note_session, write_record  # late: they need torch

    folder, corpus = out / "runs" / run.id, corpora / run.corpus
    key = settings_key(run, corpus)
    with hold(folder):
        make_room(folder, key)
        if finished(run, out, corpora):
            shutil.rmtree(folder / "marks", ignore_errors=True)  # a kill came after the record
            return
        # also before measuring alone: the record names the conditions of this process
        note_session(folder, cpu, begin=not saved_marks(folder / "marks"))
        train(run, training_data(run, corpus, folder), folder, cpu)
        gc.collect()  # the trainer holds the model and its optimizer in a cycle
        marks = saved_marks(folder / "marks")
        scores, translations, signatures = measure_all(run, marks, corpus, cpu)
        for update, values in scores.items():
            values.update(read_mark(folder / "marks", update))
        strip(marks[run.updates], folder / "model.pt")
        with whole_files(folder / HYPOTHESES) as (stream,):
            stream.writelines(line + "\n" for line in translations)
        write_record(run, folder, corpus, key, [scores[n] for n in sorted(scores)], signatures, cpu)
        shutil.rmtree(folder / "marks")
        shutil.rmtree(folder / "data-bin", ignore_errors=True)


def measure_all(
    run: Run, marks: dict[int, Path], corpus: Path, cpu: bool
) -> tuple[dict[int, dict[str, float]], list[str], dict[str, str]]:
    """Return scores by update, translations of the last checkpoint, sacreBLEU's signatures."""
    from recipes.compare.measure import Judge

    # at INFO it logs each reuse of a batch iterator
    logging.getLogger("fairseq.tasks.fairseq_task").setLevel(logging.WARNING)
    judge = Judge(corpus, cpu)
    scores: dict[int, dict[str, float]] = {}
    translations: list[str] = []
    for update in sorted(marks):
        valid = update == run.updates or run.architecture not in settings.VALID_AT_END
        scores[update], translations = judge.measure(marks[update], valid)
        line = ", ".join(f"{name} {value:.3f}" for name, value in scores[update].items())
        print(f"update {update}: {line}", flush=True)
    return scores, translations, judge.signatures


def end_with_runner() -> None:
    """End this process when the runner that started it ends."""

    def watch() -> None:
        os.read(0, 1)  # returns when the other end closes, since nothing is written
        os.kill(os.getpid(), signal.SIGTERM)

    if os.environ.get(LEASH):
        threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    """Do the run that the command line names, and write its record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="id, such as multi30k.transformer.paper.b070.s1")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "compare")
    parser.add_argument("--corpora", type=Path, help="default: OUT/corpora")
    parser.add_argument("--cpu", action="store_true", help="use no GPU, though there is one")
    options = parser.parse_args(arguments)
    end_with_runner()

    # before the import of fairseq, which would set the level to DEBUG
    logging.basicConfig(
        format="%(asctime)s | %(name)s | %(message)s", level="INFO", stream=sys.stdout
    )
    import torch
    from fairseq import utils

    utils.import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    cpu = options.cpu or not torch.cuda.is_available()
    corpora = options.corpora or options.out / "corpora"
    execute(run_of(options.run), options.out.resolve(), corpora.resolve(), cpu)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
