#!/usr/bin/env bash
# Start ranks on several nodes with torchrun. Run on every node, with equal arguments and variables:
#   NNODES=2 GPUS=8 MASTER=first-node:29500 \
#     recipes/launch/torchrun.sh DATA_BIN RUN_FOLDER [fairseq-train flags]
#
# GPUS is the number of all GPUs of a node, since fairseq takes GPU (rank mod GPUs). The nodes meet
# at MASTER, and torchrun numbers them. RESTARTS=n: after a rank has failed, all ranks start again
# from the last checkpoint, up to n times. DRY_RUN=1 prints the command.
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

# The world size has to be given although torchrun knows it. fairseq's default is the number of GPUs
# of this node. With one GPU in a node, each node would train alone as a run of one rank.
# --distributed-init-method must not be given, since fairseq then does not read torchrun's rank.
launch torchrun --nnodes "$NNODES" --nproc-per-node "$GPUS" \
  --rdzv-backend c10d --rdzv-endpoint "$MASTER" --rdzv-id "${JOB:-autoassist}" \
  --max-restarts "${RESTARTS:-0}" --no-python \
  fairseq-train "$data_bin" "${plugin[@]}" --save-dir "$run" \
  --distributed-world-size "$((NNODES * GPUS))" "$@"
