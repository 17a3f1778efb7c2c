"""`python -m benchmarks [PART ...]`: measure the named parts or all, and write docs/benchmarks.md.

Without `--page-only`, each part is measured, printed, and stored; the others keep their results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.page import PAGE, page
from benchmarks.parts import PARTS, Part
from benchmarks.results import RESULTS, MeasureSettings, measured_now, write_result
from evidence.files import CHECKOUT, write_text

__all__ = ["main"]

SAMPLE = 40


def main() -> None:
    """Measure, store and print the parts; write the page after each of them."""
    parser = _parser()
    arguments = parser.parse_args()
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; use one of {', '.join(PARTS)}")
    settings = MeasureSettings(arguments.npm, arguments.sample)
    names = [] if arguments.page_only else arguments.parts or list(PARTS)
    for name in names:
        _measure(PARTS[name], settings)
        # After each one: an interrupted run keeps what it has measured.
        write_text(PAGE, page())
    write_text(PAGE, page())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument(
        "--npm",
        type=Path,
        default=CHECKOUT / ".tox" / "bench" / "tmp",
        metavar="FOLDER",
        help="where oauth2-mock-server is installed by npm",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="N",
        help=f"how many mutants are checked ({SAMPLE} by default, 0 for all)",
    )
    parser.add_argument("--page-only", action="store_true", help="write the page from the results")
    return parser


def _measure(part: Part, settings: MeasureSettings) -> None:
    print(f"{part.title}: {part.command}", flush=True)
    result = measured_now(part.name, part.versions(settings), part.measure(settings))
    write_result(result)
    for table in result.tables:
        print(table.markdown, end="\n\n", flush=True)
    print(f"stored in {(RESULTS / part.name).relative_to(CHECKOUT)}.json", flush=True)


if __name__ == "__main__":
    main()
