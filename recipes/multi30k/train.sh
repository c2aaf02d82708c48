#!/usr/bin/env bash
# Train on Multi30k:  recipes/multi30k/train.sh DATA_BIN RUN_FOLDER [--baseline] [more flags]
#
# An interrupted run resumes from its last checkpoint. --baseline trains the same model without
# AutoAssist for as many updates. Every other flag is passed on and overrides the flags below.
set -euo pipefail
usage="usage: train.sh DATA_BIN RUN_FOLDER [--baseline] [fairseq-train flags]"
data_bin=${1:?$usage} run=${2:?$usage}
shift 2

method=(--task translation_autoassist
  --criterion autoassist_label_smoothed_cross_entropy)
if [[ ${1:-} == --baseline ]]; then
  shift
  method=(--task translation --criterion label_smoothed_cross_entropy)
fi

# On a CPU torch's threads would spin while they wait for one another. Any other process on these
# cores (the loader, the Assistant's worker) would then make training several times slower.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

mkdir -p "$run"
if [[ -f $run/checkpoint_last.pt ]]; then # a checkpoint that a kill cut short ends in one line
  root=$(dirname "${BASH_SOURCE[0]}")/../..
  PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} python -m recipes.common.checkpoints --run "$run"
fi
# --user-dir for both: the plugin also lets torch >= 2.6 read fairseq's checkpoints again.
exec fairseq-train "$data_bin" --source-lang en --target-lang de \
  --user-dir fairseq_autoassist "${method[@]}" --label-smoothing 0.1 \
  --arch transformer --share-all-embeddings \
  --encoder-layers 3 --encoder-embed-dim 128 --encoder-ffn-embed-dim 512 \
  --decoder-layers 3 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 \
  --encoder-attention-heads 4 --encoder-normalize-before \
  --decoder-attention-heads 4 --decoder-normalize-before --dropout 0.1 \
  --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --lr 5e-3 \
  --lr-scheduler polynomial_decay --warmup-updates 150 \
  --total-num-update 1200 --max-update 1200 --max-tokens 2000 \
  --num-workers 1 --distributed-world-size 1 --seed 1 \
  --save-dir "$run" --no-epoch-checkpoints \
  --log-format json --log-interval 10 --log-file "$run/train.log" "$@"
