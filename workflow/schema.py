"""`python -m workflow.schema`: write the JSON schema that editors check a config with."""

from pathlib import Path

from stages.core.experiment import Experiment
from stages.core.files import write_json

PATH = Path(__file__).with_name("config.schema.json")


def schema() -> dict[str, object]:
    """The JSON schema of an experiment file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}


if __name__ == "__main__":
    write_json(PATH, schema())
