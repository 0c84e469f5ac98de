"""The load of a run, in a process of its own: `python -m mldeploy_jupyter.latency.generator`.

Standard input has one line of JSON, the plan with the file for the samples, then the bodies; after it lines with keys
and the order to end. When it closes, the run ends. Standard output has lines of JSON: progress, notes, questions for
keys, and the end (`messages.py`). A key is in no file, command line or environment.

    load.py              warm-up, one turn of a service after the other, limits
    turns.py             one turn: open or closed loop
    measured_service.py  what is known of a service from its answers: revision, key, whether it is dead
    pool.py              the connections of one service, and the requests that wait for one
    connection.py        one HTTP/1.1 connection with at most one request under way
    transport.py         its bytes; receive_clock.py: when they arrived, as the kernel saw it
    alarm.py             wakes at an exact time
    housekeeping.py      when what is not urgent is done: while no request is due
    recorder.py          writes the samples, and counts
    lag.py               how late this process itself is, and whether it or the machine stood still
    done_blocks.py       the same block by block, and which are left out
"""
