"""The viewer of histories: one HTML file with everything in it, made from a history and what checkers say of it.

`write_html` for histories at hand, `report_html` for files. What is explained comes from `dynalab_checkers.explain`;
nothing is judged here. The page's own sources lie in `static/`.
"""

from dynalab_checkers.viewer.data import Judged
from dynalab_checkers.viewer.page import write_html
from dynalab_checkers.viewer.report import judge, report_html

__all__ = ["Judged", "judge", "report_html", "write_html"]
