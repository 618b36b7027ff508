"""The command line."""

from datetime import date, datetime

import click

from almanac import sentence


@click.command()
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day; today if absent.")
def main(day: datetime | None = None) -> None:
    """Say what day it is, and how far the year has gone."""
    click.echo(sentence(day.date() if day else date.today()))


if __name__ == "__main__":
    main()
