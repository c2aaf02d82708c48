# Common parts of the scripts in this folder, which source it.

# Flags of the plugin for fairseq-train. Flags given after them override them.
plugin=(--user-dir fairseq_autoassist --task translation_autoassist
  --criterion autoassist_label_smoothed_cross_entropy --label-smoothing 0.1)

# Run a command in place of this shell; DRY_RUN=1 only prints it.
launch() {
  if [[ -n ${DRY_RUN:-} ]]; then
    printf '%q ' "$@"
    printf '\n'
  else
    exec "$@"
  fi
}

# End the children $2.. of this shell: first by SIGTERM, after $1 seconds by SIGKILL.
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
