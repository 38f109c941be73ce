"""Writes the pages of the course that come from results and from tests. Run as `python -m dynalab.site` before
`mkdocs build`.

Rules of this room:
- A plain script, no build hook: what it writes under docs/ (results/, generated/, claims.md) is ignored by git and
  can be thrown away.
- Nothing is drawn from memory: tables come from the result store, pictures from recorded histories, diagrams from the
  code's own tables, claims from the markers of the tests. What is missing is said on the page, in words.
- No picture or page asks for anything from outside.
"""
