"""Fuzzing of the endpoint: requests that are wrong in every way a client can be wrong, over real sockets.

Rules of this room:
- A case is a function of (seed, number) and of the pages that earlier answers ended: nothing is drawn elsewhere.
- What must hold is checked at every case: an answer for every whole request, in time, in order, with its checksum; no
  5xx; nothing changed by what was refused; nothing logged; memory below a bound.
- A failure is told as a script that sends the same bytes.
"""
