"""The credit's sums are exact, and figures are read however they are written."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from personas.prospect_population import Prospects
from td_gym.reading.numerals import numbers
from td_gym.scenarios.sales.credit import (
    QUESTIONS,
    Profile,
    Question,
    ask,
    interest,
    money,
    monthly_payment,
    question_text,
)
from td_gym.scenarios.sales.figures import figures
from td_gym.scenarios.sales.offers import answers, draw_case, false_figures, states_wrongly

cents = st.integers(1, 5_000_000).map(lambda count: count / 100)
rates = st.integers(1, 999).map(lambda count: count / 100)
profiles = st.builds(
    Profile,
    credit_limit=st.integers(1, 400).map(lambda count: 100.0 * count),
    monthly_rate=rates,
    fee=st.integers(1, 30_000).map(lambda count: count / 100),
    coupon=st.integers(1, 50_000).map(lambda count: count / 100),
    coupon_days=st.integers(1, 90),
    eligible=st.booleans(),
    phone_tail=st.integers(0, 9999).map("{:04d}".format),
    months_customer=st.integers(0, 300),
    loans_before=st.integers(0, 9),
    amount=st.integers(1, 400).map(lambda count: 100.0 * count),
    months=st.integers(1, 60),
)
PROFILE = Profile(8000.0, 1.2, 25.0, 60.0, 10, True, "4711", 36, 2, 5000.0, 24)
COST = ask(PROFILE, "cost_of_days", 10_000.0, 30)


def half_up(value: Fraction) -> float:
    """Round to cents, a half up, in exact fractions."""
    return floor(value * 100 + Fraction(1, 2)) / 100


def meant(value: float) -> Fraction:
    return Fraction(str(value))


@given(cents, rates, st.integers(1, 3650))
def test_interest_is_exact_and_rounded_half_up(amount: float, rate: float, days: int) -> None:
    assert interest(amount, rate, days) == half_up(meant(amount) * meant(rate) / 100 * days / 30)


@given(cents, rates, st.integers(1, 120))
def test_payment_is_exact_and_rounded_half_up(amount: float, rate: float, months: int) -> None:
    exact = meant(amount) / months + meant(amount) * meant(rate) / 100
    assert monthly_payment(amount, rate, months) == half_up(exact)


@pytest.mark.parametrize(
    ("amount", "rate", "days", "cost"),
    [(10_000, 1.2, 30, 120.0), (50, 0.3, 30, 0.15), (1.0, 0.5, 30, 0.01), (1.0, 0.5, 29, 0.0), (100.5, 1.0, 30, 1.01)],
)
def test_interest_by_hand(amount: float, rate: float, days: int, cost: float) -> None:
    assert interest(amount, rate, days) == cost


def test_payment_by_hand() -> None:
    assert monthly_payment(10_000, 1.2, 10) == 1120.0
    assert monthly_payment(5000.0, 1.2, 24) == 268.33  # 208.333.. + 60
    assert PROFILE.payment == 268.33
    assert PROFILE.interest == 1440.0


@given(profiles)
def test_answers_are_those_of_the_profile(profile: Profile) -> None:
    stated = {name: ask(profile, name).answer for name in ("rate", "fee", "limit", "coupon_value", "coupon_expiry")}
    assert stated == {
        "rate": profile.monthly_rate,
        "fee": profile.fee,
        "limit": profile.credit_limit,
        "coupon_value": profile.coupon,
        "coupon_expiry": profile.coupon_days,
    }
    assert ask(profile, "eligible").answer == ("yes" if profile.eligible else "no")
    span = 30 * profile.months
    assert ask(profile, "monthly_payment", profile.amount, span).answer == profile.payment
    assert ask(profile, "cost_of_days", profile.amount, span).answer == profile.interest


def ways(value: float) -> list[str]:
    """Usual ways of writing a sum of money."""
    plain, grouped = f"{value:.2f}", f"{value:,.2f}"
    german = grouped.translate(str.maketrans(",.", ".,"))
    written = [plain, grouped, german, plain.replace(".", ","), f"${grouped}", f"{german} €", f"USD {plain}"]
    written += [
        grouped.replace(",", " "),
        grouped.replace(",", "'"),
        f"{plain} dollars",
        grouped.replace(",", "\u00a0"),
    ]
    if value == int(value):
        whole = f"{value:,.0f}"
        written += [whole, f"{value:.0f}", whole.replace(",", "."), whole.replace(",", " "), f"{whole} USD"]
    return written


@given(cents)
def test_every_usual_way_of_writing_a_number_is_accepted(value: float) -> None:
    assume(value != COST.amount)
    question = COST._replace(answer=value)
    for way in ways(value):
        for text in (way, f"{way}.", f"That would be {way}.", f"The interest comes to {way}, and the fee is $25."):
            assert answers(text, question), text
            assert not states_wrongly(text, question), text


@given(cents, cents)
def test_wrong_numbers_are_refused(value: float, wrong: float) -> None:
    assume(abs(value - wrong) >= 0.01 and COST.amount not in (value, wrong))
    question = COST._replace(answer=value)
    for way in (f"{wrong:.2f}", f"${wrong:,.2f}", f"{wrong:,.2f}".translate(str.maketrans(",.", ".,"))):
        text = f"The interest would be {way}."
        assert not answers(text, question), text
        assert states_wrongly(text, question), text
        assert not answers(f"The interest would be {value:.2f} or {way}.", question)


@given(st.integers(100, 9999), st.sampled_from(["about", "around", "roughly", "approximately", "nearly", "some", "~"]))
def test_about_is_no_exact_answer(value: int, hedge: str) -> None:
    assume(COST.amount not in (value + 1, 2 * value))  # the amount asked about, said again, is no answer
    question = COST._replace(answer=float(value))
    assert answers(f"It would be {value}.", question)
    assert not answers(f"It would be {hedge} {value}.", question)
    assert not states_wrongly(f"It would be {hedge} {value + 1}.", question)
    assert states_wrongly(f"It would be {hedge} {value * 2}.", question)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200 or 1.200,00 or 1200.00 or $1,200", (1200, 1200, 1200, 1200)),
        ("1 200 and 1'200 and 1,200,000.75", (1200, 1200, 1200000.75)),
        ("1.2 or 1,2 or 1.20% or .5", (1.2, 1.2, 1.2, 0.5)),
        ("10k, 1.5k, 5 thousand", (10_000, 1500, 5000)),
        ("6,12,24 or 36 months", (6, 12, 24, 36)),
        ("twelve hundred and thirty-six", (1236,)),
        ("two thousand five hundred", (2500,)),
        ("one point two percent, zero fees", (1.2, 0)),
        ("one moment, at 10:30, 24/7, on the 2nd, B2B", ()),
        ("20-30 days, -5", (20, 30, -5)),
        ("", ()),
        ("9" * 5000, ()),
    ],
)
def test_numbers(text: str, found: tuple[float, ...]) -> None:
    assert numbers(text) == found


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    assert all(len(figure) == 6 for figure in figures(text))
    assert false_figures(text, PROFILE) <= set(QUESTIONS)
    assert {answers(text, ask(PROFILE, name, 1000.0, 30)) for name in QUESTIONS} <= {True, False}


@pytest.mark.parametrize("junk", ["9" * 4000 + " days", "1,200," * 600, "seven " * 600, "12 days " * 500, "$ -" * 900])
def test_no_heap_of_figures_raises(junk: str) -> None:
    assert false_figures(junk, PROFILE) <= set(QUESTIONS)
    assert not any(answers(junk, ask(PROFILE, name, 1000.0, 30)) for name in QUESTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "119 120 121",
        "The interest is 100, 120 or 140.",
        "The fee is 120.",
        "I have 120 reasons.",
        "It is not 120.",
        "Between 100 and 120.",
        "Let me check that for you.",
        "",
    ],
)
def test_a_list_or_another_figure_is_no_answer(text: str) -> None:
    assert answers("The interest for 10,000 over 30 days is 120.", COST)
    assert not answers(text, COST)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("rate", "It is 1.2 percent a month.", "The rate is 1.3 % a month."),
        ("rate", "1,2 %", "2.1 percent"),
        ("fee", "There is a one-off fee of $25.", "There is zero fee."),
        ("fee", "You pay 25 once.", "The fee is 52."),
        ("limit", "The most you can borrow is 8.000.", "You can borrow up to 9,000."),
        ("coupon_value", "It takes $60 off the interest.", "The coupon is worth 66."),
        ("coupon_expiry", "It runs out in ten days.", "The coupon is valid for 2 weeks."),
        ("eligible", "Yes.", "No, you don't qualify."),
        ("eligible", "You are eligible today.", "You are not eligible."),
        ("monthly_payment", "That makes 268.33 a month.", "You would pay 250 each month."),
    ],
)
def test_right_and_wrong_answers(name: str, right: str, wrong: str) -> None:
    question = ask(PROFILE, name, PROFILE.amount, 30 * PROFILE.months)
    assert answers(right, question)
    assert not states_wrongly(right, question)
    assert states_wrongly(wrong, question)
    assert not answers(wrong, question)


@pytest.mark.parametrize("text", ["You may be eligible.", "I don't know whether you are eligible.", "Good question."])
def test_an_open_word_is_no_answer(text: str) -> None:
    question = ask(PROFILE, "eligible")
    assert not answers(text, question)
    assert not states_wrongly(text, question)


@pytest.mark.parametrize(
    "text",
    [
        "Your limit is 8,000, the rate is 1.2 % a month and the fee is 25.",
        "A fee of 25 and a coupon of 60, valid 10 days.",
        "25 fee, 60 coupon.",
        "5,000 over 24 months is $268.33 a month.",
        "The interest on 2,000 for 15 days is 12.",
        "5,000 costs you 60 a month in interest.",
        "The fee is not 30 but 25.",
        "In total you pay $1,440 in interest over 24 months.",
        "With the 60 dollar coupon the interest drops to 1,380.",
        "The yearly rate is 14.4 percent, and the money is paid out within 2 days.",
        "I am 100% sure, and it takes 2 minutes.",
        "You have been with us for 36 months, and your number ends in 4711.",
        "No, I am a real person.",
        "I see that it does not meet your needs.",
    ],
)
def test_true_statements_are_let_pass(text: str) -> None:
    assert false_figures(text, PROFILE) == frozenset()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The rate is 0.9 percent a month.", "rate"),
        ("It costs just 0.5% interest.", "rate"),
        ("There is zero fee.", "fee"),
        ("Your limit is 20,000.", "limit"),
        ("You can borrow up to 50k.", "limit"),
        ("The coupon takes 100 off.", "coupon_value"),
        ("The coupon is valid for 30 days.", "coupon_expiry"),
        ("You pay only 100 a month.", "monthly_payment"),
        ("The interest on 5,000 for 30 days is $20.", "cost_of_days"),
        ("Sadly you do not qualify.", "eligible"),
    ],
)
def test_false_statements_are_found(text: str, name: str) -> None:
    assert false_figures(text, PROFILE) == {name}


@given(profiles)
def test_honest_figures_of_any_profile_are_let_pass(profile: Profile) -> None:
    text = (
        f"Your limit is {money(profile.credit_limit)}. The rate is {profile.monthly_rate:g} percent a month, and the "
        f"fee is {money(profile.fee)}. The coupon is worth {money(profile.coupon)} and valid for "
        f"{profile.coupon_days} days. {money(profile.amount)} over {profile.months} months would be "
        f"{money(profile.payment)} a month."
    )
    assert false_figures(text, profile) == frozenset()


@given(
    st.lists(st.integers(1, 200).map(lambda count: 100 * count), max_size=8),
    st.lists(st.integers(1, 1080), max_size=8),
    st.integers(1, 500_000).map(lambda count: count / 100),
    st.sampled_from(["", "about "]),
    st.sampled_from([0.94, 0.96, 1.0, 1.04, 1.06]),
    st.data(),
)
def test_interest_may_be_that_of_any_credit_spoken_of(
    amounts: list[int], spans: list[int], other: float, hedge: str, share: float, data: st.DataObject
) -> None:
    """The amount proposed or one named, for the months proposed, for thirty days or for those named."""
    right = {
        interest(float(amount), PROFILE.monthly_rate, days)
        for amount in (PROFILE.amount, *amounts)
        for days in (30 * PROFILE.months, 30, *spans)
    }
    stated = data.draw(st.sampled_from([round(share * answer, 2) for answer in sorted(right)]) | st.just(other))
    named = [f"You asked for {amount}." for amount in amounts] + [f"It is for {days} days." for days in spans]
    text = " ".join([*named, f"The interest is {hedge}{stated:.2f}."])
    fits = any(abs(stated - answer) <= (0.05 * answer if hedge else 0.005) for answer in right)
    assume(bool(named))  # where none is named the customer may have named one
    assert ("cost_of_days" in false_figures(text, PROFILE)) != fits


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", ["standard", "hard"])
def test_drawn_offers_make_sense(name: str, split: str) -> None:
    population = Prospects.load(name)
    eligible = 0
    for seed in range(300):
        persona = population.sample(seed, split)
        case = draw_case(seed, split, persona)
        assert case == draw_case(seed, split, persona)
        profile = case.profile
        assert 0 < profile.amount <= profile.credit_limit
        assert 0 < profile.coupon <= profile.interest / 2
        assert profile.phone_tail == persona.identity.phone_tail
        assert len({question.name for question in case.questions}) == len(case.questions) == persona.curiosity
        for question in case.questions:
            assert question.amount <= profile.credit_limit
            assert question == ask(profile, question.name, question.amount, question.days)
            assert question.amount == 0 or question.amount in numbers(question_text(question))
        eligible += profile.eligible
    assert 0.8 < eligible / 300 < 0.97


def test_every_question_gets_asked() -> None:
    population = Prospects.load("standard")
    cases = [draw_case(seed, "train", population.sample(seed, "train")) for seed in range(500)]
    asked: set[str] = {question.name for case in cases for question in case.questions}
    assert asked == set(QUESTIONS)
    assert draw_case(3, "train", cases[0].persona).profile != draw_case(3, "test", cases[0].persona).profile


def test_a_question_is_plain_data() -> None:
    question = Question("fee", 0.0, 0, 25.0, "number")
    assert ask(PROFILE, "fee") == question
    assert question_text(question).endswith("?")
