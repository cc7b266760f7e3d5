# Where the files lie is a resource and no param: moved files rerun nothing. So is what the plan asks of their number.
# Unlabelled images are written undeclared beside the others: not every data set has them.
rule data:
    output:
        **DATA.outputs("{data}"),
    log:
        DATA.log("{data}"),
    benchmark:
        benchmark_of(DATA, "{data}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", DATA.resources)
    resources:
        **resources_of(DATA.resources),
        folder=lambda wildcards: plan.data[wildcards.data].place or "",
        needs=lambda wildcards: packed_json(plan.needs[wildcards.data].model_dump(exclude_defaults=True)),
    params:
        settings=lambda wildcards: plan.data[wildcards.data].settings,
        code=lambda wildcards: plan.data[wildcards.data].code,
        unlabelled=lambda wildcards: optional("--unlabelled", plan.data[wildcards.data].inputs.get("unlabelled")),
    shell:
        command(DATA) + " --settings {params.settings:q} --folder={resources.folder:q} --downloads {DOWNLOADS:q}"
        " --train {output.train} --test {output.test} {params.unlabelled}"
        " --needs={resources.needs:q} --manifest {output.manifest}"
