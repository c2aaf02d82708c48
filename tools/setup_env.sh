#!/usr/bin/env bash
# Create or complete the virtual environment: tools/setup_env.sh .venv
#
#   PYTHON   interpreter to use; left out: the first suitable one found
#   TORCH    torch version ("2.11.0+cu130"): kept where that interpreter has it, else installed
#
# Without them, a later call takes those that the environment was made with.
#
# torch is installed first, by exact version. fairseq is then built against it without build
# isolation, else its build would fetch a second torch of several GB. Every step may be interrupted:
# the stamp is written last, and without a stamp that fits the next call repeats the steps.
set -euo pipefail

CPU_TORCH=2.13.0
FAIRSEQ=fairseq-fixed==0.12.3.1
CAN_RUN="CPython 3.11, 3.12 or 3.13, 64 bit, with venv"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=${1:?usage: tools/setup_env.sh VENV_FOLDER}
stamp=$venv/.setup-stamp
named=$venv/.setup-named # TORCH and PYTHON as the user named them, and the checkout's folder
step=0

fail() { echo "error: $*" >&2; exit 1; }

say() { step=$((step + 1)); echo "[set-up $step/7] $*"; }

suitable() {
  "$1" -c 'import ensurepip, sys, venv
ok = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 13)
sys.exit(not (ok and sys.maxsize > 2**32))' 2>/dev/null
}

# Print the interpreter, or its base where it belongs to the environment to be made, as `python3`
# does after `source .venv/bin/activate`.
outside() {
  "$1" - "$1" "$venv" <<'PY'
import os, sys
inside = os.path.realpath(sys.prefix) == os.path.realpath(sys.argv[2])
print(sys._base_executable if inside else sys.argv[1])
PY
}

find_python() {
  local name
  if [[ -n ${PYTHON:-} ]]; then
    suitable "$PYTHON" ||
      fail "PYTHON=$PYTHON ($("$PYTHON" --version 2>&1 | head -n 1)) cannot run this;" \
        "expected $CAN_RUN: name one with PYTHON=python3.11 make ..."
    outside "$PYTHON"
    return
  fi
  for name in python3 python3.11 python3.12 python3.13 python; do
    if suitable "$name"; then outside "$name"; return; fi
  done
  fail "found no suitable Python (python3 is $(python3 --version 2>&1 | head -n 1));" \
    "expected $CAN_RUN: install one, or name it with PYTHON=... make ..."
}

# Print a checksum of all that decides what is installed. It reads contents, since a fresh checkout
# changes the times of all files.
fingerprint() {
  {
    cat "$root"/requirements/*.txt "$root/setup.py" "${BASH_SOURCE[0]}"
    echo "torch ${TORCH:-default} python ${PYTHON:-default} in $root"
  } | cksum
}

# Print "VERSION FOLDER" of the torch to keep: the version named, or else any build for a GPU.
torch_to_keep() {
  "$1" - "${TORCH:-}" <<'PY' 2>/dev/null || true
import sys
from pathlib import Path
import torch
gpu = torch.version.cuda or getattr(torch.version, "hip", None)
if str(torch.__version__) == sys.argv[1] or (gpu and not sys.argv[1]):
    print(torch.__version__, Path(torch.__file__).resolve().parent.parent)
PY
}

pip_install() { "$venv/bin/python" -m pip install --disable-pip-version-check "$@"; }

install_torch() {
  local kept version folder site
  kept=$(torch_to_keep "$1")
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  if [[ -n $kept ]]; then
    version=${kept%% *} folder=${kept#* }
    say "keeping torch $version of $folder"
    # a torch installed here before would be found first
    if [[ -d $site/torch ]]; then
      env -u PYTHONPATH "$venv/bin/python" -m pip uninstall --disable-pip-version-check -qy torch
    fi
    # --system-site-packages would not do: from within another environment it shows the packages of
    # the base Python, not that environment's torch.
    echo "import site; site.addsitedir(r'$folder')" >"$site/kept-torch.pth"
  else
    version=${TORCH:-$CPU_TORCH}
    say "torch $version"
    rm -f "$site/kept-torch.pth"
    pip_install "torch==$version"
  fi
  # pip's version: PyPI's CUDA build is 2.13.0 for pip, though it calls itself 2.13.0+cu130
  version=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("torch"))')
  echo "torch==$version" >"$venv/torch-constraint.txt" # every later step keeps it
}

# Install the torchvision made with this torch, as 0.28.0 with 2.13.0, the default. It is installed
# without dependencies, since torch is there. Only recipes/images needs it, so a failure is no error.
install_torchvision() {
  local version
  version=$("$venv/bin/python" - <<'PY'
from importlib.metadata import version
import re
release = re.match(r"2\.(\d+)\.(\d+)", version("torch"))
print(f"0.{int(release[1]) + 15}.{release[2]}" if release else "")
PY
  )
  say "torchvision ${version:-(none is known for this torch)}"
  [[ -n $version ]] && pip_install --no-deps "torchvision==$version" ||
    echo "torchvision was not installed: make images will not run" >&2
}

# Link the package beside the installed fairseq, where fairseq's `--user-dir NAME` looks from any
# folder. An editable install is found by `import` alone.
link_package() {
  local site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  ln -sfn "$root/fairseq_autoassist" "$site/fairseq_autoassist"
}

# Read TORCH and PYTHON that the environment was made with, so that `make test` after
# `TORCH=... make quickstart` keeps that torch. In a moved checkout the environment is made again,
# since its scripts and links hold the old path.
recall() {
  local torch python place
  [[ -f $named ]] || return 0
  { read -r torch && read -r python && read -r place; } <"$named" || return 0
  if [[ $place != "$root" ]]; then
    echo "$venv was made in $place: making it anew"
    rm -rf "$venv"
    return
  fi
  [[ $torch == default ]] || TORCH=${TORCH:-$torch}
  [[ $python == default ]] || PYTHON=${PYTHON:-$python}
}

main() {
  local python wanted
  recall
  wanted=$(fingerprint)
  if [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then return; fi

  python=$(find_python)
  say "virtual environment $venv with $("$python" --version)"
  if [[ -x $venv/bin/python ]]; then
    local have want
    have=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' || true)
    want=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [[ $have == "$want" ]] ||
      fail "$venv holds Python ${have:-that does not start} but $python is $want:" \
        "remove it with 'rm -rf $venv', or name the other one with PYTHON=..."
    rm -f "$stamp"
  fi
  # an environment without pip was interrupted while it was made, or made by a tool without pip
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
  install_torch "$python"
  say "build tools"
  pip_install -c "$venv/torch-constraint.txt" -r "$root/requirements/build.txt"
  say "pinned dependencies"
  pip_install -c "$venv/torch-constraint.txt" -r "$root/requirements/dev.txt" \
    -r "$root/requirements/docs.txt"
  install_torchvision
  say "$FAIRSEQ (built from source: about three minutes, silent)"
  pip_install -c "$venv/torch-constraint.txt" --no-build-isolation "$FAIRSEQ" ||
    fail "$FAIRSEQ was not installed, pip's output is above; building it needs a C++ compiler" \
      "and the headers of $python (package python3-dev or the like)"
  say "fairseq_autoassist"
  pip_install --quiet --no-deps --no-build-isolation --editable "$root"
  link_package
  local reason
  reason=$("$venv/bin/python" -c 'import fairseq, sacrebleu, sentencepiece, sklearn' 2>&1) ||
    fail "$venv was set up but cannot import fairseq (${reason##*$'\n'}); expected a working one:" \
      "try 'rm -rf $venv' and again, or another torch with TORCH=..."
  printf '%s\n' "${TORCH:-default}" "${PYTHON:-default}" "$root" >"$named"
  echo "$wanted" >"$stamp.tmp"
  mv "$stamp.tmp" "$stamp"
}

main
