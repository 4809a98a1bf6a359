"""``bench``: how fast this machine is, against the usual ways of doing the same."""

from __future__ import annotations

import importlib

import click


class _Benchmarks(click.Group):
    """The harnesses in ``benchmarks/``, which the app itself does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["live", "scan"]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        try:
            return importlib.import_module(f"benchmarks.{name}").main
        except ModuleNotFoundError as error:
            raise click.UsageError(
                f"The benchmarks need what is not here ({error}). Run them in the project's "
                "repository, with the development environment: python3 run.py bench scan"
            ) from None


@click.group(
    cls=_Benchmarks,
    epilog="Example: python3 run.py bench scan",
)
def bench() -> None:
    """Measures scanning or live classification on this machine, as ratios within one run."""
