import unittest
from datetime import date

from click.testing import CliRunner

from almanac import gone, sentence
from almanac.cli import main


class Almanac(unittest.TestCase):
    def test_a_year_begins_with_nothing_gone(self):
        self.assertEqual(gone(date(2026, 1, 1)), 0)
        self.assertEqual(gone(date(2026, 12, 31)), 99)

    def test_the_day_is_said(self):
        self.assertEqual(sentence(date(2024, 2, 29)), "Thursday, day 060: 16 % of 2024 are gone")

    def test_the_command_takes_a_day(self):
        result = CliRunner().invoke(main, ["--day", "2026-11-25"])
        self.assertEqual((result.exit_code, result.output), (0, "Wednesday, day 329: 89 % of 2026 are gone\n"))


if __name__ == "__main__":
    unittest.main()
