from tests.faults.suite import Row
ROW = Row("shared", "stub", lambda world, size: ())
