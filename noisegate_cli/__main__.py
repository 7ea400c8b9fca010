"""Run the command line as `python -m noisegate_cli`."""

from noisegate_cli.cli import main

if __name__ == "__main__":
    main()
