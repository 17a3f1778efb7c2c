"""``python -m mockbroker`` is the same as ``mockbroker``."""

from mockbroker.cli import main

if __name__ == "__main__":
    main()
