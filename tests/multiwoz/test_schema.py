import pytest

from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, Act, canonical_slot, clock, minutes, normal_value


def test_an_act_is_the_field_s_list_of_four():
    assert list(Act("inform", "hotel", "area", "east")) == ["inform", "hotel", "area", "east"]
    assert Act("bye", "general") == ("bye", "general", "", "")


@pytest.mark.parametrize(
    ("domain", "name", "slot"),
    [
        ("hotel", "hotel-bookday", "day"),  # 2.2 state
        ("hotel", "bookpeople", "people"),  # 2.2 acts
        ("restaurant", "booktime", "time"),
        ("restaurant", "Addr", "address"),  # 2.1 acts
        ("restaurant", "Price", "pricerange"),
        ("train", "Ticket", "price"),
        ("train", "price", "price"),
        ("train", "Time", "duration"),
        ("booking", "Time", "time"),
        ("train", "Id", "trainid"),
        ("train", "leaveAt", "leaveat"),  # 2.1 state
        ("attraction", "entrance fee", "entrancefee"),  # table
        ("attraction", "Fee", "entrancefee"),
        ("taxi", "car type", "type"),  # 2.1 goals
        ("taxi", "Car", "type"),
        ("general", "none", ""),
        ("hotel", "Ref", "ref"),
    ],
)
def test_names_of_every_version_become_one(domain, name, slot):
    assert canonical_slot(domain, name) == slot


@pytest.mark.parametrize("domain", DOMAINS)
def test_canonical_names_stay(domain):
    spec = DOMAINS[domain]
    for slot in (*spec.lookup, *spec.request, *spec.book):
        assert canonical_slot(domain, slot) == slot


@pytest.mark.parametrize(
    ("slot", "value", "normal"),
    [
        ("area", " Center ", "centre"),
        ("area", "do n't care", DONTCARE),
        ("type", "guest house", "guesthouse"),
        ("type", "mutliple sports", "multiple sports"),
        ("internet", "free", "yes"),
        ("entrancefee", "free", "free"),
        ("stars", "4 stars", "4"),
        ("stars", "4-star", "4"),
        ("people", "Two people", "2"),
        ("stay", "three nights", "3"),
        ("day", "Monday", "monday"),
        ("leaveat", "9:05", "09:05"),
        ("arriveby", "after 17:15", "17:15"),
        ("time", "dontcare", DONTCARE),
        ("name", "Two Two", "two two"),
        ("name", "two", "two"),
    ],
)
def test_values_are_spelled_as_in_the_tables(slot, value, normal):
    assert normal_value(slot, value) == normal
    assert normal_value(slot, normal) == normal


@pytest.mark.parametrize(
    ("time", "count"), [("00:00", 0), ("09:05", 545), ("24:07", 1447), ("9:05", None), ("12:60", None), ("noon", None)]
)
def test_minutes_of_a_time(time, count):
    assert minutes(time) == count
    assert count is None or clock(count) == time
