# What every rule asks the scheduler for. A change here, or of the device, reruns nothing.
NAME = r"[A-Za-z0-9._-]+"


wildcard_constraints:
    data=NAME,
    features=NAME,
    neighbors=NAME,
    structure=NAME,
    run=NAME + "/" + NAME + r"/seed\d+",
    group=NAME,


def asks(stage, what):
    """A resource of a stage; memory and time grow with the attempt."""
    value = getattr(experiment.stage_resources(stage), what)
    if what in ("mem_mb", "runtime"):
        return lambda wildcards, attempt: value * attempt
    return value


def optional(flag, path):
    """`--flag path`, or nothing where there is no path."""
    return f"{flag} {path}" if path else ""
