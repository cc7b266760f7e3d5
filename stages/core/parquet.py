"""Parquet tables with a checksum on every page, written whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.ceilings import TABLE_RATIO, UNPACKED, require_below
from stages.core.errors import ArtifactError
from stages.core.files import atomic
from stages.core.manifests import require_file

LARGEST = 8  # bytes of a number


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet with a checksum on every page."""
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table, held against its manifest, page checksums verified."""
    require_file(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            require_bounded(path, file)
            table = file.read()
        table.validate(full=True)
        return table
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise ArtifactError(
            f"{path}: not a readable Parquet file ({error}); have the stage that wrote it make it again"
        ) from error


def require_bounded(path: Path, file: pq.ParquetFile) -> None:
    """ArtifactError for a file that repeats numbers, or packs them, until they are much more than it holds."""
    told = file.metadata.num_rows * sum(_width(field.type) for field in file.schema_arrow)
    require_below(told, max(UNPACKED, TABLE_RATIO * path.stat().st_size), f"{path}: its columns", "bytes")


def _width(kind: pa.DataType) -> int:
    """Bytes of a row at the most, text and lists of any length left out."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_width(field.type) for field in kind)
    return LARGEST
