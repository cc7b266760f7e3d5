"""`python -m workflow.generate.lint`: `snakemake --lint`, with the exceptions named here and no other."""

import re
import subprocess
import sys

# Where its files lie must not be a job's params, for a move of them would rerun it.
ALLOWED = re.compile(r"Shell command directly uses variable DOWNLOADS from outside of the rule")


def main() -> None:
    """Print every finding that is no named exception; exit with 1 if there is one."""
    command = [sys.executable, "-m", "snakemake", "--lint"]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    findings = re.findall(r"^ {4}\* (.+?):?$", linted.stderr, re.MULTILINE)
    faults = [finding for finding in findings if not ALLOWED.match(finding)]
    if faults or (linted.returncode and not findings):
        sys.exit("\n".join(faults) or linted.stderr)
    print(f"snakemake --lint: no finding but {len(findings)} named exceptions")


if __name__ == "__main__":
    main()
