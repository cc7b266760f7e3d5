from tests.faults.suite import Row
ROW = Row("killed_commands", "stub", lambda world, size: ())
