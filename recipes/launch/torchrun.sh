#!/usr/bin/env bash
# Several nodes with torchrun. Once on every node, with the same words and variables:
#   NNODES=2 GPUS=8 MASTER=first-node:29500 \
#     recipes/launch/torchrun.sh DATA_BIN RUN_FOLDER [fairseq-train flags]
#
# GPUS is the number of GPUs of a node, all of them, since fairseq takes GPU (rank mod GPUs).
# The nodes find each other at MASTER; which is which torchrun settles. RESTARTS=n starts all ranks
# again, from the last checkpoint, up to n times after one failed. DRY_RUN=1 prints the command.
set -euo pipefail
usage="usage: NNODES=n GPUS=n MASTER=host:port torchrun.sh DATA_BIN RUN_FOLDER [flags]"
data_bin=${1:?$usage} run=${2:?$usage}
: "${NNODES:?$usage}" "${GPUS:?$usage}" "${MASTER:?$usage}"
shift 2
[[ -f recipes/launch/flags.sh ]] || {
  echo "error: found no recipes/launch in $PWD; run this from the root of the repository" >&2
  exit 1
}
source recipes/launch/flags.sh

# The world size has to be said although torchrun knows it: its default is the number of this node's
# GPUs, and with one GPU to a node fairseq would take it for a run of one rank, on every node.
# --distributed-init-method must not be given: fairseq would not look for torchrun's rank then.
launch torchrun --nnodes "$NNODES" --nproc-per-node "$GPUS" \
  --rdzv-backend c10d --rdzv-endpoint "$MASTER" --rdzv-id "${JOB:-autoassist}" \
  --max-restarts "${RESTARTS:-0}" --no-python \
  fairseq-train "$data_bin" "${plugin[@]}" --save-dir "$run" \
  --distributed-world-size "$((NNODES * GPUS))" "$@"
