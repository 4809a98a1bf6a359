"""``python3 run.py bench``: how fast this machine is, against the usual ways of doing the same."""

from __future__ import annotations

import importlib

import click

from edge_app.invocation import invocation


class _Benchmarks(click.Group):
    """The harnesses, each imported only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["live", "scan"]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        try:
            main: click.Command = importlib.import_module(f"benchmarks.{name}").main
        except ImportError as error:
            raise click.UsageError(f"bench {name} needs what is not installed: {error}") from None
        return main


@click.group(cls=_Benchmarks, epilog=f"Example: {invocation()} bench scan")
def bench() -> None:
    """Measure scanning or live classification on this machine, as ratios within one run."""


if __name__ == "__main__":
    bench(prog_name=f"{invocation()} bench")
