"""`python -m workflow.generate.schema`: write the JSON schema that editors check a config with."""

from pathlib import Path

from stages.core.files import write_json
from workflow.planning.experiment import Experiment

PATH = Path(__file__).resolve().parents[1] / "config.schema.json"


def schema() -> dict[str, object]:
    """The JSON schema of an experiment file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}


if __name__ == "__main__":
    write_json(PATH, schema())
