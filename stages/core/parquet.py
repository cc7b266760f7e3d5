"""Parquet tables with a checksum on every page, written whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.errors import ArtifactError
from stages.core.files import atomic
from stages.core.manifests import require_file


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet with a checksum on every page."""
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table, held against its manifest, page checksums verified."""
    require_file(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(
            f"{path}: not a readable Parquet file ({error}); have the stage that wrote it make it again"
        ) from error
