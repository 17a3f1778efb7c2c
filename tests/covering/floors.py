"""Report the coverage of each package, and fail below its floor: `tox -e coverage` runs it."""

from __future__ import annotations

import sys

import coverage

# In percent of branches and lines together.
OF_ALL_TESTS = {"mockbroker": 99.95, "contract_tests": 95.0, "pytest_plugin": 95.0}
# tests/unmeasured.txt leaves out what the kit and the plugin do not need for these.
OF_MEASURED_TESTS = {"mockbroker": 99.95, "contract_tests": 90.5, "pytest_plugin": 86.0}
REMEDY = """\
Look at the lines and branches that are missing. If you changed them, add a quick test. If you did
not, tests/unmeasured.txt may leave out the tests that reach them: `tox -e choose-unmeasured`
records all tests, writes that file again, and checks the floors of all tests."""


def main(arguments: list[str]) -> None:
    """Print the reports, and then the packages that are below their floors."""
    measured = coverage.Coverage()
    measured.load()
    low = []
    floors = OF_ALL_TESTS if arguments == ["--all-tests"] else OF_MEASURED_TESTS
    for package, floor in floors.items():
        percent = round(measured.report(include=[f"{package}/*"], skip_covered=True), 2)
        if percent < floor:
            low.append(f"{package}: {percent} % is below the floor of {floor} %.")
    if low:
        sys.exit("\n".join([*low, REMEDY]))


if __name__ == "__main__":
    main(sys.argv[1:])
