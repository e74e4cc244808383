"""`python -m softrl` is `softrl`."""

from softrl.cli import main

if __name__ == "__main__":
    main()
