"""One replication group: Multi-Paxos over a log, a leader under a lease, learners that were wiped. See `replica` for
the rules.
"""
