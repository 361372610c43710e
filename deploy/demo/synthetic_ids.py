"""National ids of the synthetic series: valid in every digit, and assigned to no person.

Fødselsnummer and D-numbers have 80 added to the month, as in Skatteetaten's test population (Tenor). DUF numbers, which
have no such series, have the year 2099.
"""

from datetime import date

from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

from ims.identifiers import duf_number

DAY_OF_A_D_NUMBER = 40
MONTH_OF_A_TEST_NUMBER = 80
YEAR_OF_A_DUF_NUMBER = 2099

# The individual digits give the century in both kinds of number: of those born 1940-1999, and from 2000 on.
_BORN_BEFORE_2000 = range(500)
_BORN_SINCE_2000 = range(500, 1000)


class SyntheticIds:
    """Generates national ids, each only once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def birth_number(self, born: date) -> str:
        """Return a fødselsnummer of a person born that day, from 1940 on."""
        return self._eleven_digits(born, day=born.day)

    def d_number(self, born: date) -> str:
        """Return a D-number of a person born that day, from 1940 on."""
        return self._eleven_digits(born, day=born.day + DAY_OF_A_D_NUMBER)

    def duf_number(self, serial: int) -> str:
        """Return the DUF number with that serial number (below 1,000,000)."""
        first = f"{YEAR_OF_A_DUF_NUMBER}{serial:06}"
        return self._give(next(number for rest in range(11) if duf_number.is_valid(number := f"{first}{rest:02}")))

    def _eleven_digits(self, born: date, day: int) -> str:
        individuals = _BORN_BEFORE_2000 if born.year < 2000 else _BORN_SINCE_2000  # noqa: PLR2004 - a year
        for individual in individuals:
            number = f"{day:02}{born.month + MONTH_OF_A_TEST_NUMBER}{born.year % 100:02}{individual:03}"
            number += calc_check_digit1(number)
            number += calc_check_digit2(number)
            # A control digit of 10 makes twelve digits: such a number is not issued.
            if len(number) == 11 and number not in self._given:  # noqa: PLR2004 - explained above
                return self._give(number)
        raise ValueError(f"every number of {born} is taken")

    def _give(self, number: str) -> str:
        self._given.add(number)
        return number
