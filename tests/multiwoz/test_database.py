import json
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.errors import TdGymError, unknown
from td_gym.scenarios.multiwoz import database
from td_gym.scenarios.multiwoz.database import Database, QueryError, plain_name
from td_gym.scenarios.multiwoz.outcome import Told
from td_gym.scenarios.multiwoz.schema import DOMAINS, DONTCARE, WEEK, Act, minutes
from td_gym.scenarios.multiwoz.service_desk import ServiceDesk
from td_gym.scenarios.multiwoz.state import State
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from tests.bounded import bounded

CITY = synthetic_database()
LOOKED_UP = [domain for domain in DOMAINS if domain != "taxi"]
TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


@st.composite
def queries(draw):
    domain = draw(st.sampled_from(LOOKED_UP))
    slots = draw(st.lists(st.sampled_from(DOMAINS[domain].lookup), unique=True))
    constraints = {}
    for slot in slots:
        values = TIMES if slot in ("leaveat", "arriveby") else st.sampled_from(CITY.values(domain, slot))
        constraints[slot] = draw(st.just(DONTCARE) | values)
    return domain, constraints


def satisfies(entity, constraints):
    for slot, value in constraints.items():
        if value == DONTCARE:
            continue
        if slot == "leaveat" and minutes(entity[slot]) < minutes(value):
            return False
        if slot == "arriveby" and minutes(entity[slot]) > minutes(value):
            return False
        if slot not in ("leaveat", "arriveby") and entity[slot] != value:
            return False
    return True


@given(queries())
def test_a_query_finds_all_that_satisfies_and_nothing_else(query):
    domain, constraints = query
    assert list(CITY.query(domain, constraints)) == [e for e in CITY.tables[domain] if satisfies(e, constraints)]


def test_the_invented_city_has_the_size_of_the_published_one():
    sizes = {domain: len(rows) for domain, rows in CITY.tables.items()}
    assert sizes["restaurant"] == 100
    assert 30 <= sizes["hotel"] <= 35
    assert sizes["attraction"] == 80
    assert 2500 <= sizes["train"] <= 3000
    assert sizes["hospital"] >= 50
    assert sizes["police"] == 1
    for domain, rows in CITY.tables.items():
        keys = [plain_name(row[DOMAINS[domain].key]) for row in rows]
        assert len(set(keys)) == len(keys)
        for slot, values in DOMAINS[domain].closed.items():
            assert {row[slot] for row in rows if slot in row} <= set(values)


def test_a_city_follows_from_its_seed():
    assert synthetic_database() is CITY
    again = synthetic_database.__wrapped__(0)
    assert again.tables == CITY.tables
    assert synthetic_database(1).tables["hotel"] != CITY.tables["hotel"]


def test_trains_come_in_the_order_of_departure():
    leaves = [minutes(train["leaveat"]) for train in CITY.query("train", {"day": "sunday"})]
    assert leaves == sorted(leaves)


def test_values_are_taken_as_people_write_them():
    (hotel,) = CITY.query("hotel", {"name": CITY.tables["hotel"][3]["name"].title()})
    assert hotel == CITY.tables["hotel"][3]
    restaurant = CITY.tables["restaurant"][0]
    assert restaurant["name"].startswith("the ")
    assert CITY.query("restaurant", {"name": restaurant["name"][4:]}) == (restaurant,)
    assert CITY.query("restaurant", {"area": "Center"}) == CITY.query("restaurant", {"area": "centre"}) != ()


@pytest.mark.parametrize(
    ("domain", "constraints", "words"),
    [
        ("hotel", {"colour": "red"}, ("colour", "area", "internet", "stars")),
        ("hotel", {"area": "downtown"}, ("area of hotel", "downtown", "centre", "north")),
        ("restaurant", {"food": "indain"}, ("'indian'", "thai")),
        ("train", {"leaveat": "early"}, ("leaveat", "00:00", "early")),
        ("train", {"arriveby": "25:00"}, ("arriveby", "24:59", "25:00")),
        ("bus", {}, ("bus", "train", "police")),
        ("taxi", {}, ("Taxis", "book")),
        ("restaurant", {"name": ""}, ("name of restaurant",)),
    ],
)
def test_a_wrong_query_names_what_is_allowed(domain, constraints, words):
    with pytest.raises(QueryError) as raised:
        CITY.query(domain, constraints)
    assert all(word in str(raised.value) for word in words)


@given(st.sampled_from([*DOMAINS, "bus"]), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_no_query_or_booking_crashes(domain, words):
    for call in (lambda: CITY.query(domain, words), lambda: CITY.book(domain, None, words, 0)):
        with suppress(QueryError):
            call()


HOTEL = CITY.tables["hotel"][0]
STAY = {"people": "2", "day": "friday", "stay": "3"}


def test_a_booking_is_a_function_of_what_is_booked_in_which_conversation():
    booked = CITY.book("hotel", HOTEL, STAY, 7)
    assert booked == CITY.book("hotel", HOTEL, {"stay": "three", "people": "2 people", "day": "Friday"}, 7)
    assert len(booked["ref"]) == 8
    others = [
        CITY.book("hotel", HOTEL, STAY, 8),
        CITY.book("hotel", CITY.tables["hotel"][1], STAY, 7),
        CITY.book("hotel", HOTEL, {**STAY, "stay": "4"}, 7),
    ]
    assert len({booked["ref"], *(other["ref"] for other in others)}) == 4


def test_refused_details_are_refused_and_others_are_not():
    with pytest.raises(QueryError, match=f"{HOTEL['name']} is not available for people 2, day friday, stay 3"):
        CITY.book("hotel", HOTEL, STAY, 7, refused=STAY)
    with pytest.raises(QueryError, match="not available"):
        CITY.book("hotel", HOTEL, STAY, 7, refused={"day": "friday"})
    assert CITY.book("hotel", HOTEL, {**STAY, "stay": "2"}, 7, refused=STAY) == CITY.book(
        "hotel", HOTEL, {**STAY, "stay": "2"}, 7
    )


@pytest.mark.parametrize(
    ("domain", "entity", "details", "words"),
    [
        ("hotel", None, STAY, "No hotel has been offered"),
        ("hotel", HOTEL, {"people": "2"}, "needs day, stay"),
        ("hotel", HOTEL, {**STAY, "people": "12"}, "people of hotel '12'"),
        ("hotel", HOTEL, {**STAY, "day": DONTCARE}, "definite day"),
        ("hotel", HOTEL, {**STAY, "time": "18:00"}, "slot of hotel 'time'"),
        ("attraction", CITY.tables["attraction"][0], {}, "Nothing can be booked in attraction"),
        ("taxi", None, {"departure": "here"}, "needs destination"),
        ("taxi", None, {"departure": "here", "destination": "there"}, "needs leaveat or arriveby"),
        ("taxi", None, {"departure": "here", "destination": "here", "leaveat": "10:00"}, "must differ"),
    ],
)
def test_a_wrong_booking_says_what_is_missing(domain, entity, details, words):
    with pytest.raises(QueryError, match=words):
        CITY.book(domain, entity, details, 0)


def test_a_taxi_is_booked_by_its_ends_and_time():
    ride = {"departure": "the old mint museum", "destination": "cedar inn", "leaveat": "9:15"}
    car = CITY.book("taxi", None, ride, 3)
    assert car.keys() == {"type", "phone"}
    assert car == CITY.book("taxi", None, {**ride, "leaveat": "09:15"}, 3)
    assert car != CITY.book("taxi", None, ride, 4)


def test_trains_are_looked_up_without_a_search_of_the_table():
    asked = [
        {"departure": row["departure"], "destination": row["destination"], "day": day, "leaveat": row["leaveat"]}
        for row in CITY.tables["train"]
        for day in WEEK[:2]
    ]
    with bounded():
        for constraints in asked:
            CITY.query("train", constraints)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with small tables in the published form."""
    venue = {"address": "1 mill lane", "phone": "0555", "postcode": "wm1", "area": "centre", "location": [1.0, 2.0]}
    tables = {
        "restaurant": [{**venue, "name": "plum", "food": "thai", "pricerange": "cheap", "phone": None}],
        "hotel": [
            {**venue, "name": "inn", "type": "hotel", "pricerange": "cheap", "stars": "4", "internet": "yes"}
            | {"parking": "no", "price": {"double": "60"}}
        ],
        "attraction": [{**venue, "name": "baths", "type": "mutliple sports", "entrance fee": "?"}],
        "train": [
            {"departure": "a", "destination": "b", "day": "monday", "leaveAt": "23:10", "arriveBy": "24:10"}
            | {"trainID": "TR1", "price": "1.00 pounds", "duration": "60 minutes"}
        ],
        "taxi": [{"taxi_colors": ["red"], "taxi_types": ["van"], "taxi_phone": ["^[0-9]{10}$"]}],
        "hospital": [{"department": "x-ray", "phone": "0555", "id": 0}],
        "police": [{"name": "Mill Station", "address": "Mill lane", "phone": "0555", "id": 0}],
    }
    for domain, rows in tables.items():
        (tmp_path / f"{domain}_db.json").write_text(json.dumps(rows))
    return tmp_path


def test_published_tables_are_read_under_canonical_names(folder):
    city = Database.load(folder)
    (hotel,) = city.query("hotel", {"parking": "no"})
    assert "price" not in hotel
    assert hotel["pricerange"] == "cheap"
    assert city.tables["restaurant"][0]["phone"] == "?"
    assert city.query("attraction", {"type": "multiple sports"})[0]["entrancefee"] == "?"
    (train,) = city.query("train", {"leaveat": "23:00"})
    assert (train["trainid"], train["arriveby"], train["price"]) == ("tr1", "24:10", "1.00 pounds")
    assert city.query("train", {"arriveby": "23:59"}) == ()
    assert city.query("police", {})[0]["name"] == "mill station"
    assert city.book("taxi", None, {"departure": "a", "destination": "b", "leaveat": "10:00"}, 0)["type"] == "red van"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("hotel_db.json", None, "Cannot read"),
        ("hotel_db.json", '[{"name": ', "not a whole JSON file"),
        ("hotel_db.json", "{}", "must be a JSON list, not an object"),
        ("hotel_db.json", '[{"name": "inn"}]', "row 0 has no type"),
        ("hotel_db.json", "[]", "at least one object"),
        ("hotel_db.json", '["inn"]', "row 0 must be a JSON object, not 'inn'"),
        ("taxi_db.json", '[{"taxi_colors": []}]', "taxi_colors"),
        (
            "train_db.json",
            '[{"departure": "a", "destination": "b", "day": "monday", "leaveAt": "soon", "arriveBy": "1:00",'
            ' "trainID": "1"}]',
            "leaveat is 'soon'",
        ),
    ],
)
def test_a_faulty_table_is_named_with_its_field(folder, file, content, words):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(TdGymError, match=words) as raised:
        Database.load(folder)
    assert file in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TdGymError, match="nowhere"):
        Database.load(tmp_path / "nowhere")


def test_the_published_tables(shared_data: Path):
    city = Database.load(shared_data / "multiwoz" / "db")
    sizes = {domain: len(rows) for domain, rows in city.tables.items()}
    assert sizes == {
        "restaurant": 110,
        "hotel": 33,
        "attraction": 79,
        "train": 2828,
        "hospital": 66,
        "police": 1,
    }
    names = {row["name"] for row in city.query("restaurant", {"food": "korean"})}
    assert names == {"little seoul"}
    (train,) = city.query(
        "train", {"departure": "cambridge", "destination": "ely", "day": "monday", "arriveby": "6:30"}
    )
    assert train["trainid"] == "tr2013"


def test_the_nearest_value_is_sought_only_where_it_is_told(monkeypatch):
    sought = []

    def counted(kind, name, known):
        sought.append(name)
        return unknown(kind, name, known)

    monkeypatch.setattr(database, "unknown", counted)
    desk = ServiceDesk(CITY, 0, {})
    assert desk.find("restaurant", "the golden spoo") is None
    assert desk.come_up("hotel", "nowhere inn") is None
    assert Told(desk).hear([Act("recommend", "restaurant", "name", "the golden spoo")], State()) == (0, 1)
    assert sought == []
    result = desk.call("query", {"domain": "restaurant", "food": "indain"})
    assert result.answer.startswith("query restaurant: Unknown food of restaurant 'indain'. Did you mean 'indian'?")
    assert sought == ["indain"]
    with pytest.raises(QueryError) as raised:
        CITY.query("hotel", {"area": "downtown"})
    assert str(raised.value) == str(pickle.loads(pickle.dumps(raised.value)))
    assert str(raised.value).endswith(f"Known: {', '.join(sorted(CITY.values('hotel', 'area')))}.")
