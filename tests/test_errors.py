"""What a user is told of bad input is one line of bounded length, whatever was given."""

from __future__ import annotations

from ternary_vae.errors import MOST_CHARACTERS, UserError


def test_a_message_is_one_line_and_of_a_long_one_the_middle_is_left_out():
    assert str(UserError("  a file:\n\tcannot be  read\r\n")) == "a file: cannot be read"
    longest = "x" * MOST_CHARACTERS
    assert str(UserError(longest)) == longest
    numbers = " ".join(map(str, range(1000)))
    told = str(UserError(f"{numbers}\n"))
    beginning, ending = told.split(" … ")
    assert len(told) == MOST_CHARACTERS
    assert numbers.startswith(beginning)
    assert numbers.endswith(ending)
    assert len(beginning) > len(ending) > MOST_CHARACTERS // 4
