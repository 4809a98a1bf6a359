"""Commands that need a checkout of the repository: `run.py` runs them, the app names them."""

from __future__ import annotations

import click

from edge_app.cli.ending import Ending
from edge_app.invocation import is_checkout

COMMANDS = {
    "train": "Train a model on your own pictures.",
    "evaluate": "Measure a model on labelled pictures.",
    "decide": "Fit the threshold and decision of a model.",
    "convert": "Convert an image classifier to a .tflite file.",
    "bench": "Measure scanning or live classification.",
    "test": "Run the tests; with --all also the slow ones.",
    "docs": "Build the documentation; docs serve shows it.",
}
"""What `run.py` can do beside the commands of the app."""


class Commands(Ending, click.Group):
    """The commands of the app. Those of a checkout are listed there, and explained elsewhere."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands of a checkout, too, where there is one."""
        super().format_commands(ctx, formatter)
        if is_checkout():
            with formatter.section("Commands of a checkout"):
                formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Tells how to run a command that needs a checkout."""
        if args[0] in COMMANDS and args[0] not in self.commands:
            raise click.UsageError(
                f"{args[0]} runs from a checkout of the repository: git clone ADDRESS smoking; "
                f"cd smoking; python3 run.py {args[0]}",
                ctx,
            )
        return super().resolve_command(ctx, args)
