# Sourced by the scripts beside it: what they have in common.

# The plugin, for any command line of fairseq-train. Flags given after it override it.
plugin=(--user-dir fairseq_autoassist --task translation_autoassist
  --criterion autoassist_label_smoothed_cross_entropy --label-smoothing 0.1)

# Run a command in this shell's place; DRY_RUN=1 prints it instead.
launch() {
  if [[ -n ${DRY_RUN:-} ]]; then
    printf '%q ' "$@"
    printf '\n'
  else
    exec "$@"
  fi
}

# End this shell's children $2.. : SIGTERM first, SIGKILL to those that are left after $1 seconds.
end_all() {
  local patience=$1
  shift
  kill -TERM "$@" 2>/dev/null || true
  for ((waited = 0; waited < patience * 10; waited++)); do
    kill -0 "$@" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$@" 2>/dev/null || true
  wait "$@" 2>/dev/null || true
}
