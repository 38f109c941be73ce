"""`python -m dynalab` is the command line."""

from dynalab.cli import main

if __name__ == "__main__":
    main()
