"""The same generated requests, sent to several services and compared: dynalab's own endpoint, moto, dynalite; and, in
the tests, the reference machine beside the replicated service.

Rules of this room:
- A request is a function of the choices that made it (`Chance`): a seed gives the same requests everywhere, and a
  search for a smaller example makes the same requests from smaller choices.
- What a service answers is never changed to fit: `compare` takes away only what no document promises (request ids,
  times, the order of what is unordered), and says so.
- A difference is judged in `judgements.toml`, by a fact, or the run fails.
"""
