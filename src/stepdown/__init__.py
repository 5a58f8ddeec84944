"""Hand a role down from a frontier model to a small local one, and prove who really served.

The path is discover → export → train → register → route → fall back → report, on one run database. Open a
workspace with `stepdown.acts.opening.open_workspace` to use it from Python, or `stepdown --help` from a shell.

Importing this package costs nothing: SQLAlchemy, mlx and the providers are imported by the rooms that need them.
"""

__version__ = "0.1.0"
