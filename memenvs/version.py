"""The version of memenvs, written into every record and result."""

__version__ = "0.1.0"
