"""`python -m fetcher`. Worker processes import this file too, and need nothing of the command line."""

if __name__ == "__main__":
    from fetcher.cli import main

    main()
