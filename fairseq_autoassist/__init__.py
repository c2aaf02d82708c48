"""AutoAssist for fairseq: train on the sentence pairs that the model still learns from.

Loaded by ``--user-dir fairseq_autoassist`` the package registers its task and criterions.
Imported by itself it stays light: neither torch nor fairseq is loaded.
"""

import sys

__version__ = "0.1.0"

# fairseq imports --user-dir from inside itself, so it is always loaded by then; the worker process
# and the command-line tools come here without it.
if "fairseq" in sys.modules:
    from . import plugin  # noqa: F401
