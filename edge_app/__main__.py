"""``python -m edge_app``"""

from edge_app.cli import main

if __name__ == "__main__":  # processes that a benchmark starts import this file
    main(prog_name="python3 run.py")
