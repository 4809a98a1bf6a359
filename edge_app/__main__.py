"""``python -m edge_app`` and the command ``smoking-detector``."""

from typing import NoReturn

from edge_app.interrupts import run_command


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""

    def run() -> None:
        from edge_app.cli import run

        run()

    run_command(run)


if __name__ == "__main__":  # processes that a benchmark starts import this file
    main()
