"""Report the coverage of each package, and fail below its floor: `tox -e coverage` runs it."""

from __future__ import annotations

import sys

import coverage

FLOORS = {"mockbroker": 99.95, "contract_tests": 95.0, "pytest_plugin": 95.0}
"""In percent of branches and lines together. What was measured is a little more, because some
branches depend on timing."""
REMEDY = """\
Look at the lines and branches that are missing. If you changed them, add a quick test. If you did
not, tests/unmeasured.txt may leave out the tests that reach them: `tox -e choose-unmeasured`
records all tests, and writes that file again."""


def main() -> None:
    """Print the reports, and then the packages that are below their floors."""
    measured = coverage.Coverage()
    measured.load()
    low = []
    for package, floor in FLOORS.items():
        percent = round(measured.report(include=[f"{package}/*"], skip_covered=True), 2)
        if percent < floor:
            low.append(f"{package}: {percent} % is below the floor of {floor} %.")
    if low:
        sys.exit("\n".join([*low, REMEDY]))


if __name__ == "__main__":
    main()
