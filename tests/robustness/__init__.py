"""What happens when the input, the disk, the user or the machine misbehaves.

::

    seeds      genuine files to start from          mutants    damage, by a seed; hypothesis strategies
    crafted    files made to do harm, and names     judge      runs the command line in this process and judges how it ended
    fuzz       mutants by the thousand, in child processes that may die       (make fuzz)
    coverage   the parsers under a coverage-guided fuzzer                      (make fuzz-long)
    cli        the command line in a child with limits, signals, closed files
    machine    faults of disk, memory, signals, environment                    (make faults)
    load       many files, long files, many channels, many processes          (make load)
    table      kind, tries, correct, errors, violations
"""
