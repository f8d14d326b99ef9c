"""Reads Parquet files with the readers that are installed, and prints a line of what each of them read.

Every reader must see the same rows, and sort, filter and write the text columns; a reader that is not installed is named.
"""

import importlib
import sys


def with_pyarrow(path):
    import pyarrow as arrow
    import pyarrow.compute as compute
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    for field in table.schema:
        assert not str(field.type).endswith("_view"), f"{path}: {field}"
        if arrow.types.is_string(field.type) and table.num_rows:
            first = table.column(field.name).drop_null()
            if len(first):
                assert table.filter(compute.equal(table[field.name], first[0])).num_rows
                assert table.sort_by(field.name).num_rows == table.num_rows
    sink = arrow.BufferOutputStream()
    csv.write_csv(table, sink)
    return table.num_rows, sorted(table.column_names), total(table.to_pylist())


def with_pandas(path):
    import pandas

    frame = pandas.read_parquet(path, engine="pyarrow")
    return rows_of(frame)


def with_fastparquet(path):
    import fastparquet

    return rows_of(fastparquet.ParquetFile(path).to_pandas())


def rows_of(frame):
    for name in frame.select_dtypes(exclude="number").columns:
        frame.sort_values(name)
        known = frame[name].dropna()
        if len(known):
            assert (frame[name] == known.iloc[0]).any()
    frame.to_csv()
    return len(frame), sorted(frame.columns), total(frame.to_dict("records"))


def with_duckdb(path):
    import duckdb

    cursor = duckdb.execute("SELECT * FROM read_parquet(?)", [path])
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    for name in names:
        duckdb.execute(f'SELECT "{name}", count(*) FROM read_parquet(?) GROUP BY ALL ORDER BY ALL', [path]).fetchall()
    return len(rows), sorted(names), total(rows)


def total(rows):
    """A number and a text of all rows that every reader must agree on."""
    texts, numbers = [], 0.0
    for row in rows:
        for name, value in sorted(row.items()):
            if isinstance(value, str):
                texts.append(f"{name}={value}")
            elif value is not None and value == value:
                numbers += float(value)
    return sorted(texts), round(numbers, 6)


READERS = {
    "pyarrow": (["pyarrow"], with_pyarrow),
    "pandas": (["pandas", "pyarrow"], with_pandas),
    "fastparquet": (["pandas", "fastparquet"], with_fastparquet),
    "duckdb": (["duckdb"], with_duckdb),
}


def is_installed(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False


def main(paths):
    for reader, (needs, read) in READERS.items():
        missing = [name for name in needs if not is_installed(name)]
        if missing:
            print(f"{reader}: not installed: {', '.join(missing)}")
            continue
        found = {path: read(path) for path in paths}
        print(f"{reader}: {len(found)} files, {sum(rows for rows, _, _ in found.values())} rows")
        first = main.expected = getattr(main, "expected", found)
        for path in paths:
            assert found[path] == first[path], f"{reader} reads other values: {path}"


main(sys.argv[1:])
