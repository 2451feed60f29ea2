"""Which cron expressions are accepted, and what is said about those that are not."""

from __future__ import annotations

import pytest

from schedules.cron_syntax import NICKNAMES, InvalidCron, split_fields

ACCEPTED = [
    "* * * * *",
    "*/5 * * * *",
    "0 9 * * 1-5",
    "0 9 * * MON-FRI",
    "0 9 * jan,Jul mon,WED",
    "0,15,30,45 0-23/2 1-31 1-12 0-7",
    "5/15 * * * *",
    "05 09 01 01 00",
    "0 0 29 2 *",
    "0 0 * * 7",
    "0 0 * * FRI-SUN",
    "0 0 * * 5-0",
    "0 0 L * *",
    "0 0 15,L * *",
    "0 0 * * MON#1,WED#3",
    "*/60 */24 */31 */12 */7",
    "  0   0 * *  * ",
    "@daily",
    "@YEARLY",
    " @Weekly ",
]

REFUSED = [
    ("", "empty"),
    ("   ", "empty"),
    ("* * * *", "five fields (minute, hour, day of month, month, day of week), this has 4"),
    ("*", "this has 1"),
    ("* * * * * *", "seconds and years are not supported"),
    ("0 0 1 1 * 0 2030", "seconds and years are not supported"),
    ("* * * * * * * *", "this has 8"),
    ("@reboot", "Unknown nickname '@reboot'"),
    ("@every 5m", "Unknown nickname"),
    ("@daily *", "Unknown nickname"),
    ("0 0 ? * *", "use * instead"),
    ("0 0 * * 1?", "use * instead"),
    ("R * * * *", "jitter_seconds"),
    ("R(0-10) * * * *", "jitter_seconds"),
    ("h/15 * * * *", "jitter_seconds"),
    ("0 0 15W * *", "'W' (nearest weekday) is not supported"),
    ("0 0 LW * *", "'W' (nearest weekday) is not supported"),
    ("0 0 * * 5L", "'5L'"),
    ("0 0 * * L5", "'L5'"),
    ("0 0 * * L", "'L' is not a day of week"),
    ("L * * * *", "'L' is not a minute"),
    ("0 0 L * 1", "L in the day of month field needs *"),
    ("0 0 L * */2", "L in the day of month field needs *"),
    ("0 0 1 * 1#1", "# in the day of week field needs *"),
    ("0 0 */2 * 1#1", "# in the day of week field needs *"),
    ("0 0 * * 1#1,5", "mixes # with plain weekdays"),
    ("0 0 * * 1#0", "use 1 to 5 after the #"),
    ("0 0 * * 1#6", "use 1 to 5 after the #"),
    ("0 0 * * 8#1", "8 is out of range for the day of week"),
    ("1#1 0 * * *", "for the day of week field only"),
    ("60 * * * *", "60 is out of range for the minute: use 0 to 59."),
    ("* 24 * * *", "24 is out of range for the hour"),
    ("* * 0 * *", "0 is out of range for the day of month"),
    ("* * 32 * *", "32 is out of range for the day of month"),
    ("* * * 0 *", "0 is out of range for the month: use 1 to 12 or JAN to DEC."),
    ("* * * 13 *", "13 is out of range for the month"),
    ("* * * * 8", "8 is out of range for the day of week: use 0 to 7 or SUN to SAT."),
    ("9" * 150 + " * * * *", "is out of range for the minute"),
    ("0-60 * * * *", "60 is out of range"),
    ("-1 * * * *", "'-1'"),
    ("1.5 * * * *", "'1.5'"),
    ("+1 * * * *", "'+1'"),
    ("5-5 * * * *", "has one value: write 5."),
    ("* * * JAN-JAN *", "has one value: write JAN."),
    ("* * * * SUN-0", "has one value"),
    ("* * * * 7-0", "has one value"),
    ("* 22-6 * * *", "runs backwards: write 22-23,0-6."),
    ("* 23-0 * * *", "runs backwards: write 23,0."),
    ("* * * NOV-FEB *", "runs backwards: write NOV-12,1-FEB."),
    ("* * * * FRI-MON", "runs backwards: write FRI-7,0-MON."),
    ("*/0 * * * *", "use 1 to 60"),
    ("*/90 * * * *", "use 1 to 60"),
    ("* */25 * * *", "use 1 to 24"),
    ("* * * * 1/2", "write one, as in 1-5/2"),
    ("*,5 * * * *", "stands in a list"),
    ("5,* * * * *", "stands in a list"),
    ("5,*/10 * * * *", "stands in a list"),
    ("1, * * * *", "''"),
    (",1 * * * *", "''"),
    ("1-2-3 * * * *", "'1-2-3'"),
    ("*/5/5 * * * *", "'*/5/5'"),
    ("*5 * * * *", "'*5'"),
    ("5/ * * * *", "'5/'"),
    ("1-/2 * * * *", "'1-/2'"),
    ("* * * JANUARY *", "'JANUARY' is not a month: use 1 to 12 or JAN to DEC."),
    ("* * * * MON-FUN", "'MON-FUN' is not a day of week"),
    ("MON * * * *", "'MON' is not a minute"),
    ("0 0 * *\t*", "plain ASCII and spaces"),
    ("0 0 * * *\n", "plain ASCII and spaces"),
    ("0 0 * * *\x00", "plain ASCII and spaces"),
    ("\u0661 * * * *", "plain ASCII and spaces"),
    ("0 0\u00a0* * *", "plain ASCII and spaces"),
    ("0 0 * * \ud800", "plain ASCII and spaces"),
    ("0," * 100 + "0 * * * *", "longer than 200 characters"),
]


@pytest.mark.parametrize("expression", ACCEPTED)
def test_it_accepts_what_crontab_knows(expression: str) -> None:
    assert len(split_fields(expression)) == 5


@pytest.mark.parametrize(("expression", "words"), REFUSED)
def test_it_refuses_the_rest_with_one_sentence_that_names_the_remedy(expression: str, words: str) -> None:
    with pytest.raises(InvalidCron) as refusal:
        split_fields(expression)

    message = str(refusal.value)
    assert words in message
    assert message[0].isupper() or message[0] in "'L#0123456789"
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("nickname", NICKNAMES)
def test_it_reads_nicknames_in_any_case(nickname: str) -> None:
    assert split_fields(nickname.upper()) == split_fields(nickname.title()) == tuple(NICKNAMES[nickname].split())


def test_it_accepts_the_longest_expression_allowed() -> None:
    expression = ",".join(["0"] * 96) + " * * * *"

    assert len(expression) == 199
    assert split_fields(expression)[1:] == ("*",) * 4


@pytest.mark.parametrize("remedy", ["22-23,0-6", "23,0"])
def test_its_remedy_for_a_backward_range_is_accepted(remedy: str) -> None:
    assert split_fields(f"* {remedy} * * *")
