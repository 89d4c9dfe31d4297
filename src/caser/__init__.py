"""Next-item recommendations from an interaction log: trained, judged honestly, explained."""

__version__ = "0.1.0"
