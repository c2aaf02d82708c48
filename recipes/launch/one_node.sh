#!/usr/bin/env bash
# Start a rank on each GPU of one machine (GPUS=n: the first n):
#   recipes/launch/one_node.sh DATA_BIN RUN_FOLDER [fairseq-train flags: model, optimiser, batches]
#
# fairseq-train starts a process for each GPU by itself. An interrupted run resumes from its last
# checkpoint. DRY_RUN=1 prints the command.
set -euo pipefail
usage="usage: [GPUS=n] one_node.sh DATA_BIN RUN_FOLDER [fairseq-train flags]"
data_bin=${1:?$usage} run=${2:?$usage}
shift 2
[[ -f recipes/launch/flags.sh ]] || {
  echo "error: found no recipes/launch in $PWD; run this from the root of the repository" >&2
  exit 1
}
source recipes/launch/flags.sh

world=()
if [[ -n ${GPUS:-} ]]; then # else fairseq counts the visible ones
  world=(--distributed-world-size "$GPUS")
fi
launch fairseq-train "$data_bin" "${plugin[@]}" --save-dir "$run" "${world[@]}" "$@"
