"""Days and years."""

from datetime import date


def gone(day: date) -> int:
    """How much of the year lies behind, in whole percent."""
    first = date(day.year, 1, 1)
    days = (date(day.year + 1, 1, 1) - first).days
    return (day - first).days * 100 // days


def sentence(day: date) -> str:
    return f"{day:%A}, day {day:%j}: {gone(day)} % of {day.year} are gone"
