"""`make bench`: how fast the simulator, the checkers and the endpoint are, in one run on one machine.

Rules of this room:
- Figures of one run are compared with each other only: every server is loaded by the same generator, with the same
  requests, one after another on the same machine, in several rounds of which the median counts. Ratios travel to other
  machines; requests per second do not.
- A comparison that could not be made is a line that says why, never a missing row.
- A response that is not 200 spoils a measurement: it is counted and reported, and its rate is not shown as a result.
"""
