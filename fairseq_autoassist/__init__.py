"""AutoAssist for fairseq: train on the sentence pairs that the model still learns from.

Under ``--user-dir fairseq_autoassist`` the package registers its task and criterions. Imported
otherwise, it loads neither torch nor fairseq.
"""

import sys

__version__ = "0.1.0"

# fairseq itself imports --user-dir, so it is loaded by then. The worker process and the commands
# import this package without it.
if "fairseq" in sys.modules:
    from . import plugin  # noqa: F401
