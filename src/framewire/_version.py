"""The version, in one place. Read by the build (`pyproject.toml`); must not import anything.

`package.json` repeats it, because npm wants one; `tests/test_house.py` holds the two equal.
"""

__version__ = "0.1.0"
