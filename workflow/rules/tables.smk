TABLES = f"results/tables/{experiment.experiment}"


def named(kind):
    """Names of the experiment's tables of a kind, as a pattern."""
    return "|".join(name for name, table in experiment.tables.items() if table.kind == kind) or "none"


def table_inputs(wildcards):
    """Every outcome and test-selected figure that a table shows, every history that a figure shows."""
    table = plan.tables[wildcards.table]
    runs = [run for row in table["rows"] for run in row["runs"]]
    if table["kind"] == "losses":
        return sorted({run["history"] for run in runs})
    outcomes = {cell["path"] for run in runs for cell in run["outcomes"].values()}
    return sorted(outcomes | {run["test_selected"] for run in runs if "test_selected" in run})


def table_files():
    """What `all` asks for."""
    endings = {"table": ("csv", "tex"), "losses": ("png", "pdf")}
    return [f"{TABLES}/{name}.{ending}" for name, table in experiment.tables.items() for ending in endings[table.kind]]


rule table:
    input:
        table_inputs,
    output:
        csv=TABLES + "/{table}.csv",
        tex=TABLES + "/{table}.tex",
        text=TABLES + "/{table}.txt",
        manifest=TABLES + "/{table}.json",
    wildcard_constraints:
        table=named("table"),
    params:
        settings=lambda wildcards: packed_json(plan.tables[wildcards.table]),
        code=lambda wildcards: plan.table_code[wildcards.table],
    log:
        "logs/tables/" + experiment.experiment + "/{table}.log",
    benchmark:
        "logs/tables/" + experiment.experiment + "/{table}.benchmark.tsv"
    threads: asks("tables", "threads")
    resources:
        mem_mb=asks("tables", "mem_mb"),
        runtime=asks("tables", "runtime"),
        gpu=asks("tables", "gpu"),
    shell:
        "python -m stages.tables --settings {params.settings:q} --root . --out {TABLES}"
        " --manifest {output.manifest} > {log} 2>&1"


use rule table as figure with:
    output:
        csv=TABLES + "/{table}.csv",
        png=TABLES + "/{table}.png",
        pdf=TABLES + "/{table}.pdf",
        manifest=TABLES + "/{table}.json",
    wildcard_constraints:
        table=named("losses"),
