"""A cluster of operating-system processes: one for each storage node and router, TCP between them, files with fsync.

Rules of this room:

1. The handlers are those of every other driver. A process runs one node on the embedded driver's loop (`node`); what it
   sends to others leaves through `links`.
2. One file, `DIR/cluster.json`, says what there is: machines, ports, pids, incarnations, cut links. It is written
   atomically and under a lock; no process trusts its own memory of it (`state`).
3. There is no supervisor. `operations` starts, kills, pauses and cuts from outside, as an operator would; a process
   that dies stays dead until somebody restarts it. Only pids that are proven to be ours get a signal (`process`).
4. Everything listens on loopback, and whoever connects shows the token of the cluster. Neither path nor code comes
   over a connection.
5. Runs here are real and not replayable: a history is what can be judged afterwards (`campaign`).
"""
