"""``make chaos``: run seeds, compare the books, print the numbers, and write them for the documentation."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.chaos.audit import Verdict, audit
from tests.chaos.plan import FULL, SHORT
from tests.chaos.report import write
from tests.chaos.storm import Storm

DOCS = Path(__file__).parents[2] / "docs" / "generated"


def main() -> int:
    """Run what is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="how many in a row (default: %(default)s)")
    parser.add_argument("--tasks", type=int, help=f"Airflow tasks (default: {FULL.tasks})")
    parser.add_argument("--short", action="store_true", help="the short storm that CI has")
    parser.add_argument("--keep", action="store_true", help="keep the logs also of runs without faults")
    parser.add_argument("--write", action="store_true", help="write the numbers for the documentation")
    options = parser.parse_args()
    size = SHORT if options.short else FULL
    if options.tasks:
        size = replace(size, tasks=options.tasks)
    verdicts: dict[int, Verdict] = {}
    for seed in range(options.seed, options.seed + options.seeds):
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        books = Storm(seed, size, folder, lambda line: print(line, flush=True)).run()
        (folder / "journal.json").write_text(json.dumps(books.journal))
        verdicts[seed] = audit(books)
        print(json.dumps(verdicts[seed].numbers, indent=1))
        for kind, cases in verdicts[seed].faults.items():
            print(f"seed {seed}: {kind}", *cases, sep="\n    ", flush=True)
        if verdicts[seed].faults or options.keep:
            print(f"seed {seed}: the logs are in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(write(verdicts, DOCS if options.write else None))
    return 1 if any(verdict.faults for verdict in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
