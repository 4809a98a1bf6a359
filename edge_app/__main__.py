"""``python -m edge_app``"""

from edge_app.cli import main

main(prog_name="python -m edge_app")
