"""Write `streams.json` again, or the streams of some cases in it.

    python -m tests.golden.write                        every case
    python -m tests.golden.write uniform "fairseq-train uniform"

Run it only for a change that is meant to alter a stream; its commit says which and why.
"""

from __future__ import annotations

import json
import sys

from tests.golden.streams import FILE, all_streams, case_names, load


def main(chosen: list[str]) -> int:
    """Write the file; returns 0, or 2 where a case is not known."""
    unknown = [case for case in chosen if case not in case_names()]
    if unknown:
        print(f"no case {unknown[0]!r}, expected some of: {', '.join(case_names())}")
        return 2
    kept = load() if chosen else {}
    made = all_streams(chosen or case_names())
    # one line for each stream: a diff shows which streams a commit alters
    lines = [f"{json.dumps(name)}: {json.dumps(of)}" for name, of in {**kept, **made}.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(made)} streams written to {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
