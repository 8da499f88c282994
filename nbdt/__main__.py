"""`python -m nbdt` is `nbdt`."""

from nbdt.cli import main

if __name__ == "__main__":
    main()
