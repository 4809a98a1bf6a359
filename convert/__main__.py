"""``python -m convert``."""

from typing import NoReturn

from edge_app.interrupts import run_command


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""

    def run() -> None:
        from convert.cli import COMMAND, main

        main(prog_name=COMMAND)

    run_command(run)


if __name__ == "__main__":
    main()
