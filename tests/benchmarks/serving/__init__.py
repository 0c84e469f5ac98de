"""The benchmark of the scoring server, in parts.

`environments` makes the peers' Python environments, `inside` the namespaces everything runs in, `work` is what is
asked, `servers` who is asked, `turn` starts one of them, loads it with `wrk` and ends it, `processes` reads what a
process tree takes, `figures` has the arithmetic and the floors, `report` prints. `open_load` is a client that keeps
its times, for `load_switch` and `soak`; `site` a service of ours in a temporary folder. `peers/` holds what runs
inside the peers' environments.
"""
