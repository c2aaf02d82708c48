#!/usr/bin/env bash
# Start several ranks on the CPU of one machine, over gloo, for trials and tests.
#   RANKS=2 recipes/launch/cpu_gloo.sh DATA_BIN RUN_FOLDER [fairseq-train flags]
#
# Rank 0 writes to the terminal, rank n to RUN_FOLDER/rank<n>.log. When one rank fails, or this
# script gets a signal, all of them end. DRY_RUN=1 prints the commands.
set -euo pipefail
usage="usage: [RANKS=n] [PORT=n] cpu_gloo.sh DATA_BIN RUN_FOLDER [fairseq-train flags]"
data_bin=${1:?$usage} run=${2:?$usage}
shift 2
[[ -f recipes/launch/flags.sh ]] || {
  echo "error: found no recipes/launch in $PWD; run this from the root of the repository" >&2
  exit 1
}
source recipes/launch/flags.sh
ranks=${RANKS:-2}

# Each rank has one thread, which sleeps while it waits. Otherwise the ranks compete for the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
free_port='import socket; s = socket.socket(); s.bind(("localhost", 0)); print(s.getsockname()[1])'
port=${PORT:-$(python -c "$free_port")}

# fairseq runs several ranks without GPUs only in this way: each rank is a process started here.
# Gradients are averaged by legacy_ddp, since fairseq gives torch's DDP the number of a GPU.
command=(fairseq-train "$data_bin" "${plugin[@]}" --save-dir "$run" --cpu
  --distributed-world-size "$ranks" --distributed-no-spawn --distributed-backend gloo
  --distributed-init-method "tcp://localhost:$port" --ddp-backend legacy_ddp "$@")
if [[ -n ${DRY_RUN:-} ]]; then
  for ((rank = 0; rank < ranks; rank++)); do
    launch "${command[@]}" --distributed-rank "$rank"
  done
  exit
fi

mkdir -p "$run"
pids=()
trap '((${#pids[@]} == 0)) || end_all 20 "${pids[@]}"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
"${command[@]}" --distributed-rank 0 &
pids+=($!)
for ((rank = 1; rank < ranks; rank++)); do
  "${command[@]}" --distributed-rank "$rank" >"$run/rank$rank.log" 2>&1 &
  pids+=($!)
done
for ((rank = 0; rank < ranks; rank++)); do
  wait -n || exit # with the status of the rank that failed; the trap ends the others
done
