from tests.faults.suite import Row

ROW = Row("hostile_files", "stub", lambda world, size: ())
