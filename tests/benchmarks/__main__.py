"""`python -m tests.benchmarks`: training's and the attacks' benchmarks; the last line is the JSON of both."""

import json
import subprocess
import sys
from typing import Any

PARTS = ("training", "attacks")


def main() -> None:
    """Run both, their lines printed as they come."""
    found: dict[str, Any] = {}
    for part in PARTS:
        command = [sys.executable, "-u", "-m", f"tests.benchmarks.{part}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            last = ""
            for line in running.stdout or ():
                if last:
                    print(last, end="", flush=True)
                last = line
        if running.returncode:
            sys.exit(running.returncode)
        measured = json.loads(last)
        found |= {name: value for name, value in measured.items() if not isinstance(value, dict)}
        found[part] = {name: value for name, value in measured.items() if isinstance(value, dict)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
