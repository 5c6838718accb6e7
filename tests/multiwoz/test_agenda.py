"""Push and pop rules of the customer's agenda, on dialogues worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.scenarios.multiwoz.agenda import MOST_TRIES, Mind, begin, hear, share_met, speak
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal, draw_goal
from td_gym.scenarios.multiwoz.schema import DOMAINS, Act
from td_gym.scenarios.multiwoz.synthetic import synthetic_database

LUNCH = DomainGoal(
    {"food": "british", "area": "west"},
    {"food": "polish", "area": "west"},
    book={"people": "2", "day": "monday", "time": "12:00"},
    fail_book={"people": "2", "day": "monday", "time": "13:00"},
)
SIGHT = DomainGoal({"type": "museum", "area": "west"}, request=("phone", "postcode"))
RIDE = DomainGoal(
    {"leaveat": "17:15"}, request=("type", "phone"), same={"departure": "attraction", "destination": "restaurant"}
)
DAY = Goal({"restaurant": LUNCH, "attraction": SIGHT, "taxi": RIDE})


def act(text: str) -> Act:
    """Read ``intent domain slot value``."""
    return Act(*text.split(maxsplit=3))


class Talk:
    """A conversation with a customer, in acts."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.mind = begin(goal)

    def __call__(self, *service: str, count: int = 3) -> list[str]:
        """Return what the customer says after the service's acts; ``* `` marks what is not said unasked."""
        if service != ("",):
            hear(self.mind, self.goal, [act(text) for text in service])
        return [
            " ".join(
                filter(None, (move.intent, move.domain, move.slot, move.value, move.reason and f"({move.reason})"))
            )
            for move in speak(self.mind, self.goal, count)
        ]


def test_a_dialogue_in_three_domains_with_both_alternatives():
    talk = Talk(DAY)
    assert talk("", count=1) == ["start restaurant", "inform restaurant food polish"]
    assert talk("request restaurant area ?") == ["inform restaurant area west (answer)"]
    assert talk("no_offer restaurant", "no_offer restaurant food polish") == ["inform restaurant food british (switch)"]
    assert talk("recommend restaurant name crown", "inform restaurant food british") == [
        "book restaurant people 2",
        "book restaurant day monday",
        "book restaurant time 13:00",
    ]
    assert talk("no_book restaurant", "request restaurant time ?") == ["book restaurant time 12:00 (answer)"]
    assert talk("booked restaurant", "booked restaurant ref AB12CD34", "reqmore general") == [
        "start attraction",
        "inform attraction type museum",
        "inform attraction area west",
        "request attraction name",
    ]
    assert talk("recommend attraction name clock museum", "inform attraction phone 01223") == [
        "request attraction postcode"
    ]
    assert talk("inform attraction postcode cb1") == [
        "start taxi",
        "inform taxi departure clock museum",
        "inform taxi destination crown",
        "inform taxi leaveat 17:15",
    ]
    assert talk("booked taxi", "inform taxi type red audi", "inform taxi phone 07202") == ["bye"]
    assert share_met(talk.mind, DAY) == 1.0
    assert talk.mind.irritation == 0.0


def offered() -> Talk:
    """Return a talk in which a restaurant is on the table and no alternative is left."""
    talk = Talk(Goal({"restaurant": DomainGoal(LUNCH.inform, book=LUNCH.book)}))
    talk("")
    talk("recommend restaurant name crown", count=1)
    return talk


def test_an_offer_that_breaks_a_constraint_is_corrected_and_not_booked():
    talk = Talk(DAY)
    talk("")
    assert talk("recommend restaurant name crown", "inform restaurant area north") == [
        "inform restaurant area west (correct)"
    ]
    assert "restaurant" not in talk.mind.offered
    assert talk("reqmore general") == ["request restaurant name"]
    assert talk("recommend restaurant name crown", "inform restaurant area west")[0] == "book restaurant people 2"


def test_one_of_several_is_chosen():
    talk = Talk(DAY)
    talk("")
    first = talk("recommend restaurant name crown", "recommend restaurant name anchor")
    assert first == ["inform restaurant name crown (answer)"]


def test_what_was_asked_for_by_name_is_the_only_offer():
    talk = Talk(Goal({"hotel": DomainGoal({"name": "gonville"}, request=("phone",))}))
    talk("")
    assert talk("recommend hotel name lensfield") == ["inform hotel name gonville (correct)"]
    assert talk("recommend hotel name gonville") == ["request hotel phone"]


@pytest.mark.parametrize("slot", ["pricerange", "food"])
def test_a_question_is_answered_with_the_goal_or_no_preference(slot):
    talk = Talk(Goal({"restaurant": DomainGoal({"food": "thai"}, request=("phone",))}))
    talk("", count=1)
    value = {"food": "thai"}.get(slot, "dontcare")
    assert talk(f"request restaurant {slot} ?") == [f"inform restaurant {slot} {value} (answer)"]


def test_asked_for_the_other_time_it_tells_its_own():
    talk = Talk(Goal({"train": DomainGoal({"day": "monday", "arriveby": "10:15"}, request=("trainid",))}))
    talk("", count=1)
    assert talk("request train leaveat ?") == ["inform train arriveby 10:15 (answer)"]


def test_a_train_may_leave_later_but_not_earlier():
    goal = Goal({"train": DomainGoal({"day": "monday", "leaveat": "10:15"}, request=("price",))})
    late, early = Talk(goal), Talk(goal)
    late(""), early("")
    assert late("recommend train trainid tr1", "inform train leaveat 11:00") == ["request train price"]
    assert early("recommend train trainid tr1", "inform train leaveat 10:00") == [
        "inform train leaveat 10:15 (correct)"
    ]


def test_a_booking_that_is_not_wanted_is_declined():
    talk = Talk(Goal({"attraction": SIGHT}))
    talk("")
    assert talk("recommend attraction name clock museum", "offer_book attraction") == [
        "decline attraction book (answer)",
        "request attraction phone",
        "request attraction postcode",
    ]


def test_a_reference_counts_only_when_all_details_were_told():
    talk = offered()
    assert talk("booked restaurant", "booked restaurant ref AB12CD34") == [
        "book restaurant day monday",
        "book restaurant time 12:00",
    ]
    assert share_met(talk.mind, talk.goal) == 0.5
    assert talk("booked restaurant", "booked restaurant ref AB12CD34") == ["bye"]
    assert share_met(talk.mind, talk.goal) == 1.0


def test_a_booking_without_a_reference_is_asked_for_it():
    talk = offered()
    talk("request restaurant day ?", "request restaurant time ?")
    assert talk("booked restaurant") == ["request restaurant ref"]


def test_another_detail_than_told_is_corrected():
    talk = offered()
    talk("request restaurant day ?", "request restaurant time ?")
    assert talk("booked restaurant", "booked restaurant ref AB12CD34", "inform restaurant time 14:00") == [
        "book restaurant time 12:00 (correct)"
    ]
    assert share_met(talk.mind, talk.goal) == 0.5


def test_with_no_alternative_it_insists_once_and_then_gives_up():
    talk = Talk(Goal({"restaurant": DomainGoal({"food": "thai", "area": "west"}, request=("phone",))}))
    talk("")
    assert talk("no_offer restaurant") == ["inform restaurant food thai (again)", "inform restaurant area west (again)"]
    assert talk("no_offer restaurant") == ["bye"]
    assert share_met(talk.mind, talk.goal) == 0.0


def test_a_ride_to_a_place_that_was_not_found_is_given_up():
    talk = Talk(DAY)
    talk("")
    for _ in range(5):
        said = talk("no_offer restaurant", "no_offer attraction")
    assert said == ["bye"]


def test_what_nobody_answers_is_asked_again_and_let_go():
    talk = Talk(Goal({"attraction": DomainGoal({"type": "museum"}, request=("phone",))}))
    talk("")
    talk("recommend attraction name clock museum")
    for _ in range(MOST_TRIES):
        assert talk("reqmore general") == ["request attraction phone (again)"]
    assert talk("reqmore general") == ["bye"]
    assert talk.mind.irritation > 0.5


def test_a_question_of_the_service_comes_before_asking_again():
    talk = Talk(Goal({"attraction": DomainGoal({"type": "museum"}, request=("phone",))}))
    talk("")
    talk("reqmore general")
    assert talk("request attraction area ?") == ["inform attraction area dontcare (answer)"]
    assert talk("reqmore general") == ["request attraction name"]
    assert talk.mind.irritation < 0.5


def test_two_answers_to_one_question_are_none():
    talk = Talk(Goal({"attraction": SIGHT}))
    talk("")
    talk("recommend attraction name clock museum")
    assert talk("inform attraction phone 1", "inform attraction phone 2", "inform attraction postcode cb1") == [
        "request attraction phone (again)"
    ]


service_acts = st.builds(
    Act,
    st.sampled_from(
        ["recommend", "inform", "select", "request", "no_offer", "offer_book", "booked", "no_book", "reqmore", "bye"]
    ),
    st.sampled_from([*DOMAINS, "general", ""]),
    st.sampled_from(
        ["", "name", "trainid", "area", "food", "type", "phone", "time", "day", "people", "leaveat", "ref"]
    ),
    st.sampled_from(["", "?", "1", "centre", "monday", "09:00"]),
)


@given(st.integers(0, 10_000), st.lists(st.lists(service_acts, max_size=5), max_size=25), st.integers(1, 3))
def test_whatever_the_service_says_the_customer_answers_and_the_mind_stays_plain(seed, turns, count):
    goal = draw_goal(seed, "train", synthetic_database())
    mind = begin(goal)
    assert speak(mind, goal, count)
    for acts in turns:
        if not mind.stack:
            break
        hear(mind, goal, acts)
        moves = speak(mind, goal, count)
        assert moves
        assert 0.0 <= share_met(mind, goal) <= 1.0
    assert Mind.of(vars(mind)).stack == mind.stack


def test_to_a_wall_every_customer_says_goodbye_in_the_end():
    for seed in range(200):
        goal = draw_goal(seed, "train", synthetic_database())
        mind = begin(goal)
        speak(mind, goal, 3)
        for _ in range(40):
            if not mind.stack:
                break
            hear(mind, goal, [Act("reqmore", "general")])
            speak(mind, goal, 3)
        assert not mind.stack


def test_a_constraint_that_the_offer_keeps_is_not_stated_any_more():
    talk = Talk(DAY)
    talk("", count=1)
    assert talk("recommend restaurant name crown", "inform restaurant area west")[0] == "book restaurant people 2"


def test_what_was_told_of_an_offer_that_does_not_suit_is_forgotten():
    talk = Talk(Goal({"attraction": SIGHT}))
    talk("")
    talk("recommend attraction name clock museum", "inform attraction area north", "inform attraction phone 1")
    assert talk("recommend attraction name folk museum", "inform attraction area west") == [
        "request attraction phone",
        "request attraction postcode",
    ]


def test_constraints_come_before_the_details_of_a_booking():
    talk = Talk(Goal({"restaurant": DomainGoal(LUNCH.inform, book=LUNCH.book)}))
    talk("", count=1)
    assert talk("recommend restaurant name crown", "request restaurant day ?") == [
        "inform restaurant area west (answer)"
    ]
    assert talk("inform restaurant area west") == [
        "book restaurant day monday (answer)",
        "book restaurant people 2",
        "book restaurant time 12:00",
    ]


def test_an_offer_to_book_is_taken_with_the_details():
    talk = offered()
    assert talk("offer_book restaurant") == [
        "affirm restaurant (answer)",
        "book restaurant day monday",
        "book restaurant time 12:00",
    ]


def test_a_choice_between_two_values_is_one_question():
    talk = Talk(Goal({"restaurant": DomainGoal({"food": "thai"}, request=("phone",))}))
    talk("")
    assert talk("select restaurant area north", "select restaurant area south") == [
        "inform restaurant area dontcare (answer)"
    ]
    assert talk.mind.irritation == 0.0
