"""Parquet files as the Hugging Face Hub lays them out: encoded images, integer labels, class names in the schema."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from stages.core.errors import ArtifactError, ConfigError
from stages.core.parquet import require_bounded
from stages.data.records import DataSet, Records, from_encoded

TEST_NAMES = ("test", "valid", "validation", "val")
LAYOUTS = (
    {"train*.parquet": "parquet", "test*.parquet": "parquet"},
    {"train*.parquet": "parquet", "val*.parquet": "parquet"},
)
LABEL_NAMES = ("label", "labels", "fine_label")
NAME = re.compile(r"(?P<split>[A-Za-z]+)(?P<rest>-.*)?\.parquet")
SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<total>\d+)")


def parquet(
    folder: Path,
    *,
    image_column: Annotated[str | None, Field(description="the image column; default: detected")] = None,
    label_column: Annotated[str | None, Field(description="the label column; default: detected")] = None,
) -> DataSet:
    """The training and the test files of a folder, `test-*` before `valid*-*`; columns are detected where not given.

    Image column: struct{bytes, path}, or plain binary if it is named. Label column: integers.
    Raises ArtifactError for a missing split or shard and for a damaged file, ConfigError for columns it cannot tell.
    """
    splits = _shards(folder)
    test_name = next((name for name in TEST_NAMES if name in splits), None)
    if "train" not in splits or test_name is None:
        raise ArtifactError(
            f"{folder}: needs train-*.parquet, and test-*.parquet or valid*-*.parquet; "
            f"it holds {', '.join(f'{name}-*.parquet' for name in splits) or 'no Parquet file'}"
        )
    schema = _schema(splits["train"][0])
    image = image_column or _detect_image(schema, splits["train"][0])
    label = label_column or _detect_label(schema, splits["train"][0])
    train, test = _split(splits["train"], image, label), _split(splits[test_name], image, label)
    found = (_class_names(path, _schema(path), label) for path in (*splits["train"], *splits[test_name]))
    names = {named for named in found if named is not None}
    if len(names) > 1:
        raise ArtifactError(f"{folder}: the files name different classes for '{label}'; give all the same names")
    return DataSet(names.pop() if names else (), train, test)


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Files by split, in order; ArtifactError if the names tell that one of several is missing."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")):
        if match := NAME.fullmatch(path.name):
            found.setdefault(match["split"], []).append(path)
    for split in ("train", *TEST_NAMES):
        shards = [match for path in found.get(split, []) if (match := SHARD.search(path.name))]
        total = max((int(shard["total"]) for shard in shards), default=0)
        if missing := set(range(total)) - {int(shard["number"]) for shard in shards}:
            raise ArtifactError(
                f"{folder}: file {min(missing)} of {total} (counted from 0) of {split} is missing; add it"
            )
    return found


def _schema(path: Path) -> pa.Schema:
    try:
        with pq.ParquetFile(path) as file:
            require_bounded(path, file)
            return file.schema_arrow
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _damaged(path, error) from error


def _split(paths: list[Path], image: str, label: str) -> Records:
    tables = [_table(path, image, label) for path in paths]
    ends = np.cumsum([len(table) for table in tables])
    images = pa.chunked_array(
        [chunk for table in tables for chunk in table.column("bytes").chunks], type=pa.large_binary()
    )

    def where(row: int) -> str:
        shard = int(np.searchsorted(ends, row, side="right"))
        return f"{paths[shard]}, row {row - int(ends[shard]) + len(tables[shard])}"

    def read_bytes(row: int) -> bytes:
        encoded = images[row].as_py()
        if encoded is None:
            raise ArtifactError(f"{where(row)}: no bytes in '{image}'; the images must be inside the file")
        return bytes(encoded)

    labels = np.concatenate([table.column("label").to_numpy() for table in tables])
    return from_encoded(read_bytes, labels, where)


def _table(path: Path, image: str, label: str) -> pa.Table:
    """Columns bytes (large_binary) and label (int64, no nulls) of one file, page checksums verified."""
    schema = _schema(path)
    for name, key in ((image, "image_column"), (label, "label_column")):
        if name not in schema.names:
            raise ConfigError(f"{key}: {path} has no column '{name}'; it holds {', '.join(schema.names)}")
    if not pa.types.is_integer(schema.field(label).type):
        raise ConfigError(f"label_column: '{label}' of {path} is {schema.field(label).type}; integers are needed")
    kind = schema.field(image).type
    if not (_is_image(kind) or _is_binary(kind)):
        raise ConfigError(f"image_column: '{image}' of {path} is {kind}; struct{{bytes, path}} or binary is needed")
    try:
        table = pq.read_table(path, columns=[image, label], page_checksum_verification=True, partitioning=None)
        column = table.column(image)
        encoded = (pc.struct_field(column, "bytes") if _is_image(kind) else column).cast(pa.large_binary())
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise _damaged(path, error) from error
    try:
        labels = table.column(label).cast(pa.int64())
    except pa.ArrowInvalid as error:  # of 64 bits without a sign
        raise ArtifactError(f"{path}: '{label}' holds a number beyond 2^63 ({error}); mend it") from error
    if labels.null_count:
        row = int(np.flatnonzero(labels.is_null().to_numpy())[0])
        raise ArtifactError(f"{path}, row {row}: no label in '{label}'; mend it or take the row out")
    return pa.table({"bytes": encoded, "label": labels})


def _damaged(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())}); get it again")


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_image(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)


def _detect_image(schema: pa.Schema, path: Path) -> str:
    images = [field.name for field in schema if _is_image(field.type)]
    if len(images) != 1:
        raise ConfigError(
            f"image_column: {path} has {len(images)} columns of struct{{bytes, path}}; name one of "
            f"{', '.join(images or schema.names)}"
        )
    return str(images[0])


def _detect_label(schema: pa.Schema, path: Path) -> str:
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    known = [name for name in LABEL_NAMES if name in whole]
    if not known and len(whole) != 1:
        raise ConfigError(
            f"label_column: {path} has no {', '.join(LABEL_NAMES)} and {len(whole)} integer columns; name one of "
            f"{', '.join(whole or schema.names)}"
        )
    return str((known or whole)[0])


def _class_names(path: Path, schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The names in the schema's `huggingface` metadata (info.features.<label>.names), or None where there are none."""
    wrong = f"{path}: its `huggingface` metadata"
    try:
        found: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{wrong} is no JSON text ({error}); mend it, or write the file without it") from error
    for key in ("info", "features", label, "names"):
        if not isinstance(found, dict):
            raise ArtifactError(f"{wrong} holds no object where '{key}' belongs; mend it, or write the file without it")
        if found.get(key) is None:
            return None
        found = found[key]
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ArtifactError(f"{wrong} must name the classes of '{label}' by a list of texts; mend it")
    return tuple(found)
